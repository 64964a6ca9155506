"""Bytes and LiteRT latency of one model in every scheme, as ratios to its float32 file.

All files take turns in one process on one thread; see `tfopt.measure.latency`. Weights are random, but the
statistics of the batch normalizations fit them: where activations vanish, as in a network that was only
initialized, the scales of neighbours lie too far apart for LiteRT's delegate, and every figure is another.

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
    "MobileNetV3Small @224": lambda: keras.applications.MobileNetV3Small((224, 224, 3), weights=None),
}
SCHEMES = ("float32", "float16", "dynamic", "int8")


def with_statistics(model: keras.Model, images: np.ndarray) -> keras.Model:
    """Return the model with the moving statistics of its batch normalizations brought to these images."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.3
    for _ in range(10):
        model(images, training=True)
    return model


def quantization_aware(model: keras.Model, images: np.ndarray) -> tfopt.TFLiteModel:
    """Return the file of the quantization-aware model, calibrated and not trained."""
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, images)
    return tfopt.to_tflite(quantized)


def main() -> None:
    """Print a table a model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=50)
    turns = parser.parse_args().turns
    for name, make in MODELS.items():
        keras.utils.set_random_seed(0)
        model = make()
        images = 255 * np.random.default_rng(0).random((20, *model.input_shape[1:]), np.float32)
        with_statistics(model, images)
        files = {scheme: bytes(tfopt.to_tflite(model, scheme, images)) for scheme in SCHEMES}
        files["int8, converter"] = bytes(tfopt.to_tflite(model, "int8", images, engine="converter"))
        files["int8, floats too"] = bytes(tfopt.to_tflite(model, "int8", images, float_where_faster=True))
        files["int8 QAT"] = bytes(quantization_aware(model, images))
        found = tfopt.measure.latency(files, turns=turns)
        print(f"{name}, untrained")
        for scheme, latency in found.items():
            size = len(files[scheme]) / len(files["float32"])
            print(
                f"  {scheme:17}{size:5.2f} of the bytes, {latency.ratio:5.2f} of the time "
                f"({latency.low_seconds * 1e3:.2f} to {latency.high_seconds * 1e3:.2f} ms)"
            )


if __name__ == "__main__":
    main()
