"""Budgets of what only files tell: the file of what is kept meets them."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tests.at_length import some
from tfopt.channels.allocation.allocate import allocation
from tfopt.channels.cut import cut
from tfopt.channels.dependency import dependencies
from tfopt.errors import GoalError


def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = L.MaxPooling2D()(L.ReLU()(L.BatchNormalization()(L.Conv2D(24, 3, use_bias=False)(inputs))))
    x = L.Dense(64, activation="relu")(L.Flatten()(L.Conv2D(48, 3, activation="relu")(x)))
    return keras.Model(inputs, L.Dense(10)(x))


@pytest.fixture(scope="module")
def found():
    return dependencies(model())


@pytest.mark.parametrize(
    ("scheme", "budget"),
    some(
        [("float32", 0.5), ("int8", 0.4), ("int8", "40k"), ("int4", 0.6), ("ternary", 0.6), ("float16", 0.3)],
        [("int8", "40k")],
    ),
)
def test_bytes_are_those_of_the_exported_file(found, scheme, budget):
    scores = np.random.default_rng(0).random(found.count)
    chosen = allocation(found, scores, {"bytes": budget}, scheme=scheme)
    smaller = cut(found, chosen.keep)
    samples = np.random.default_rng(1).standard_normal((10, 16, 16, 3)).astype("float32")
    if scheme == "ternary":
        smaller = tfopt.quantize_aware(smaller, scheme)
        tfopt.quantization.calibrate(smaller, samples)
        content = bytes(tfopt.to_tflite(smaller))
    else:
        content = bytes(tfopt.to_tflite(smaller, scheme, samples if scheme.startswith("int") else None))
    limit = chosen.budgets.of({"bytes": chosen.reaches["bytes"].original})["bytes"]
    assert 0.95 * limit <= len(content) <= limit
    assert chosen.costs["bytes"] == pytest.approx(len(content), abs=64)
    assert "bytes" in str(chosen)


@pytest.mark.slow
def test_latency_is_that_of_the_exported_file(found):
    scores = np.random.default_rng(0).random(found.count)
    chosen = allocation(found, scores, {"latency": 0.6, "bytes": 0.9})
    files = {"original": found.model, "smaller": cut(found, chosen.keep)}
    files = {name: bytes(tfopt.to_tflite(each)) for name, each in files.items()}
    assert tfopt.measure.latency(files)["smaller"].ratio < 0.75
    assert chosen.costs["latency"] <= 0.6 * chosen.reaches["latency"].original


def test_what_the_original_meets_removes_nothing(found):
    chosen = allocation(found, np.ones(found.count), {"bytes": 1.0, "macs": 1.0})
    assert chosen.keep.all()
    assert chosen.costs["bytes"] == chosen.reaches["bytes"].original


def test_bytes_out_of_reach_are_refused_by_the_real_file(found):
    scores = np.random.default_rng(0).random(found.count)
    with pytest.raises(GoalError, match=r"bytes: least [\d,]+ \(.*the limit is 1,000") as error:
        allocation(found, scores, {"bytes": 1000})
    assert error.value.best["bytes"].measured
