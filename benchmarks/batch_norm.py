"""What fused batch normalization saves a training step, beside tf_keras and TFMOT.

The step times of plain Keras 3, `tfopt.fuse_batch_norm`, `tfopt.quantize_aware` with and without the
fusion, tf_keras and TFMOT's quantization-aware training on the same architectures. All take turns in one
process; a round compares each with plain Keras 3 beside it, and the table shows the median of the rounds
and the quartiles around it.

    python benchmarks/batch_norm.py [--rounds 15] [--steps 10]
"""

import argparse
import logging
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import tensorflow as tf
import tf_keras
from models import small_cnn

import tfopt

# Its import changes what `tf.keras` is, so it comes last.
import tensorflow_model_optimization as tfmot  # isort: skip

BASELINE = "Keras 3"
BATCH = 32


def mobilenet_v2(library):
    """Return MobileNetV2 with a third of its width."""
    return library.applications.MobileNetV2((96, 96, 3), alpha=0.35, weights=None, classes=10)


MODELS = {
    "small CNN, 32x32": (32, lambda library: small_cnn(library, "softmax")),
    "MobileNetV2 0.35, 96x96": (96, mobilenet_v2),
}


def contestants(make, x):
    """Return name -> a model ready to be trained."""
    plain = make(keras)
    quantized = tfopt.quantize_aware(plain)
    tfopt.quantization.calibrate(quantized, x)
    with tempfile.TemporaryDirectory() as folder:
        quantized.save(Path(folder, "quantized.keras"))
        unfused = keras.saving.load_model(Path(folder, "quantized.keras"))  # a file does not keep the fusion
    made = {
        BASELINE: plain,
        "Keras 3, fused": tfopt.fuse_batch_norm(plain),
        "tfopt QAT, unfused": unfused,
        "tfopt QAT": quantized,
        "tf_keras": make(tf_keras),
        "TFMOT QAT": tfmot.quantization.keras.quantize_model(make(tf_keras)),
    }
    for model in made.values():
        library = keras if isinstance(model, keras.Model) else tf_keras
        model.compile(library.optimizers.SGD(0.01), "sparse_categorical_crossentropy")
    return made


def clock(library, times):
    """Return a callback of `library` that appends the seconds of each step to `times`."""

    callback = library.callbacks.Callback

    class Clock(callback):  # type: ignore[valid-type]
        def on_train_batch_begin(self, batch, logs=None):  # noqa: ARG002
            self.start = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):  # noqa: ARG002
            times.append(time.perf_counter() - self.start)

    return Clock()


def seconds_a_step(models, batches, rounds, steps):
    """Return name -> the median seconds of a training step in each round; the first round is not counted."""
    medians = {name: [] for name in models}
    for _ in range(rounds + 1):
        for name, model in models.items():
            library = keras if isinstance(model, keras.Model) else tf_keras
            times = []
            model.fit(
                batches, steps_per_epoch=steps, verbose=0, shuffle=False, callbacks=[clock(library, times)]
            )
            medians[name].append(statistics.median(times))
    return {name: values[1:] for name, values in medians.items()}


def table(title, times):
    """Print one line a contestant: milliseconds a step, and the ratios to Keras 3 and to TFMOT's QAT."""
    print(f"\n{title:<26}{'ms a step':>10}{'to ' + BASELINE:>14}{'quartiles':>16}{'to TFMOT QAT':>15}")
    for name, values in times.items():
        ratios = [one / other for one, other in zip(values, times[BASELINE], strict=True)]
        to_tfmot = [one / other for one, other in zip(values, times["TFMOT QAT"], strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        print(
            f"  {name:<24}{statistics.median(values) * 1e3:>10.1f}{middle:>14.2f}"
            f"{f'{low:.2f} to {high:.2f}':>16}{statistics.median(to_tfmot):>15.2f}"
        )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=10)
    arguments = parser.parse_args()
    logging.getLogger("absl").setLevel(logging.ERROR)
    for title, (size, make) in MODELS.items():
        keras.utils.set_random_seed(0)
        random = np.random.default_rng(0)
        x = random.normal(size=(BATCH, size, size, 3)).astype("float32")
        y = random.integers(0, 10, BATCH)
        models = contestants(make, x)
        batches = tf.data.Dataset.from_tensors((x, y)).repeat()
        table(title, seconds_a_step(models, batches, arguments.rounds, arguments.steps))


if __name__ == "__main__":
    main()
