# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)
"""Waiting for data: 20,000 JPEGs in a folder, streamed from their files, beside a cache and arrays in memory.

Writes the images (small, seeded) into a folder of its own, unless --folder has them, and trains a small
convolutional model on each source of the same data, one after the other in one process. Prints the share of
the training in which steps waited for data, by tfopt's own measure, the time of an epoch relative to arrays
in memory, and what a process had at most in memory.

    python benchmarks/input_pipeline.py [--images 20000] [--size 64] [--width 32] [--epochs 2] [--folder DIR]
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CLASSES = 10
BATCH = 64
SOURCES = {
    "arrays in memory": {"stream": False},
    "JPEG files": {"stream": True},
    "JPEG files, cache in memory": {"stream": True, "cache": "memory"},
    "JPEG files, cache on disk": {"stream": True, "cache": "disk"},
}


def write(folder: Path, images: int, size: int) -> None:
    """Write JPEGs of smooth noise whose mean colour tells the class."""
    from PIL import Image

    rng = np.random.default_rng(0)
    colours = rng.integers(40, 216, (CLASSES, 3))
    for number in range(images):
        label = number % CLASSES
        place = folder / f"class{label}" / f"{number:06d}.jpg"
        if place.exists():
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.clip(rng.normal(colours[label], 50, (8, 8, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC).save(place, quality=90)


def measure(folder: Path, source: str, size: int, width: int, epochs: int) -> None:
    """Train on one source and print a line: wait, seconds a warm epoch, gibibytes, accuracy."""
    import keras

    import tfopt

    data = tfopt.data.load(folder, image_size=size, **SOURCES[source])
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input(data.input_shape),
            layers.Conv2D(width, 3, strides=2, activation="relu"),
            layers.Conv2D(2 * width, 3, strides=2, activation="relu"),
            layers.Conv2D(4 * width, 3, strides=2, activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(CLASSES, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])

    class Seconds(keras.callbacks.Callback):
        last: float = 0.0

        def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
            self.began = time.perf_counter()

        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            self.now = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: object = None) -> None:
            Seconds.last = self.now - self.began

        def get_config(self) -> dict:
            return {}

    with tempfile.TemporaryDirectory() as out:
        run = tfopt.Pipeline([tfopt.Train(epochs=epochs)]).run(
            model, data, out=out, batch_size=BATCH, callbacks=lambda: [Seconds()], quiet=True
        )
    stage = run.typed.stages[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print("RESULT", stage.data_wait, Seconds.last, peak, stage.metrics["accuracy"])


def main() -> None:
    """Measure each source in a process of its own, for its peak of memory, one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--source", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.source:
        measure(given.folder, given.source, given.size, given.width, given.epochs)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        write(folder, given.images, given.size)
        print(
            f"{given.images} JPEGs of {given.size}x{given.size}, batches of {BATCH}, {os.cpu_count()} cores"
        )
        print(f"{'source':30}{'waits':>8}{'epoch':>9}{'ratio':>7}{'peak':>10}{'accuracy':>10}")
        first = None
        for source in SOURCES:
            options = ["--folder", folder, "--source", source, "--size", given.size]
            options += ["--width", given.width, "--epochs", given.epochs]
            command = [sys.executable, __file__, *map(str, options)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
            wait, seconds, peak, accuracy = map(float, line.split()[1:])
            first = first or seconds
            print(
                f"{source:30}{wait:8.1%}{seconds:8.1f}s{seconds / first:7.2f}{peak:7.2f}GiB{accuracy:10.4f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
