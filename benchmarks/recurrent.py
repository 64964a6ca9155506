"""Recurrent layers: how long quantization-aware training and export take beside the float model.

    python benchmarks/recurrent.py [--steps 12] [--batch 16]

The model is one that reads captchas: two convolutions, two bidirectional LSTMs of 128 and 64 units, a Dense
layer. Seconds of one process, with nothing before but a first small model that loads TensorFlow; the ratios
count. Training is of random samples: what it costs does not depend on them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import tfopt


def captcha(steps: int) -> keras.Model:
    """Return the float model; a picture is four times as long as there are steps."""
    inputs = keras.Input((4 * steps, 16, 1))
    x = inputs
    for filters in (16, 32):
        x = layers.Conv2D(filters, 3, activation="relu", padding="same")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Reshape((steps, 128))(x)
    x = layers.Dense(64, activation="relu")(x)
    for units in (128, 64):
        x = layers.Bidirectional(layers.LSTM(units, return_sequences=True, dropout=0.25))(x)
    return keras.Model(inputs, layers.Dense(20, activation="softmax")(x))


def seconds(call: Callable[[], Any], times: int = 1) -> tuple[float, Any]:
    """Return how long a call takes, the median of several, and what the last returned."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        result = call()
        taken.append(time.perf_counter() - start)
    return float(np.median(taken)), result


def main() -> None:
    """Print one line a stage: float, quantization-aware, ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--batch", type=int, default=16)
    given = parser.parse_args()
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    x = rng.random((64, 4 * given.steps, 16, 1), dtype=np.float32)
    y = rng.integers(0, 20, (64, given.steps))
    warm = keras.Sequential([keras.Input((2,)), layers.Dense(2)])
    warm.compile("adam", "mse")
    warm.train_on_batch(np.ones((2, 2)), np.ones((2, 2)))
    tfopt.to_tflite(warm)

    rows: dict[str, list[float]] = {"build": [], "first step": [], "step": [], "export": []}
    building, model = seconds(lambda: captcha(given.steps))
    quantizing, quantized = seconds(lambda: tfopt.quantize_aware(model))
    rows["build"] = [building, quantizing]
    calibrating, _ = seconds(lambda: tfopt.quantization.calibrate(quantized, x))
    for each in (model, quantized):
        each.compile("adam", "sparse_categorical_crossentropy")

        def step(each: keras.Model = each) -> Any:
            return each.train_on_batch(x[: given.batch], y[: given.batch])

        rows["first step"].append(seconds(step)[0])
        rows["step"].append(seconds(step, times=20)[0])
    for each in (model, quantized):
        taken, file = seconds(lambda each=each: tfopt.to_tflite(each))
        rows["export"].append(taken)
    print(f"{'seconds':12}{'float':>10}{'quantized':>11}{'ratio':>8}")
    for name, (plain, aware) in rows.items():
        print(f"{name:12}{plain:10.3f}{aware:11.3f}{aware / plain:8.2f}")
    print(f"{'calibrate':12}{'':10}{calibrating:11.3f}")
    operators = sum(each.count for each in file.summary().operators)
    print(f"the int8 file: {operators} operators, {len(bytes(file))} bytes")
    print(file.verify(quantized, x))


if __name__ == "__main__":
    main()
