"""Bytes and LiteRT latency of one model in every scheme, as ratios to its float32 file.

All files take turns in one process on one thread; see `tfopt.measure.latency`.

    python benchmarks/latency.py [--turns 50]
"""

import argparse
from collections.abc import Callable

import keras
import numpy as np

import tfopt

MODELS: dict[str, Callable[[], keras.Model]] = {
    "MobileNetV1 0.25 @96": lambda: keras.applications.MobileNet((96, 96, 3), alpha=0.25, weights=None),
    "MobileNetV3Small @96": lambda: keras.applications.MobileNetV3Small((96, 96, 3), weights=None),
}
SCHEMES = ("float32", "float16", "dynamic", "int8")


def main() -> None:
    """Print a table a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=50)
    turns = parser.parse_args().turns
    images = np.random.default_rng(0).random((20, 96, 96, 3), np.float32)
    for name, make in MODELS.items():
        keras.utils.set_random_seed(0)
        model = make()
        files = {scheme: bytes(tfopt.to_tflite(model, scheme, images)) for scheme in SCHEMES}
        found = tfopt.measure.latency(files, turns=turns)
        print(f"{name}, untrained")
        for scheme, latency in found.items():
            size = len(files[scheme]) / len(files["float32"])
            print(
                f"  {scheme:8} {size:5.2f} of the bytes, {latency.ratio:5.2f} of the time "
                f"({latency.low_seconds * 1e3:.2f} to {latency.high_seconds * 1e3:.2f} ms)"
            )


if __name__ == "__main__":
    main()
