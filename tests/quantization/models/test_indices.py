"""Indices as Keras defines them: of the largest and smallest values, outside of a table, computed."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate
from tfopt.quantization.canonicalize.canonicalize import canonical

CODES = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


def _nearest_code(x):
    distance = ops.sum(ops.square(x), -1, keepdims=True) + ops.sum(CODES**2, 0) - 2 * ops.matmul(x, CODES)
    return ops.matmul(ops.one_hot(ops.argmin(distance, axis=-1), 5), CODES.T)


OF_FLOATS = {
    "argmax": lambda x: ops.argmax(x, axis=-1),
    "argmin": lambda x: ops.argmin(x, axis=-1),
    "argmin_of_rows": lambda x: ops.argmin(x, axis=1, keepdims=True),
    "one_hot_of_argmax": lambda x: ops.one_hot(ops.argmax(x, axis=-1), 6),
    "top_k": lambda x: ops.top_k(x, 3)[1],
    "argsort": lambda x: ops.argsort(x, axis=-1),
    "nearest_code": _nearest_code,
}
OF_INTEGERS = {
    "one_hot": lambda x: ops.one_hot(x, 4),
    "one_hot_first": lambda x: ops.one_hot(x, 4, axis=1),
    "multi_hot": lambda x: ops.multi_hot(x, 4),
    "clip": lambda x: L.Embedding(8, 3)(ops.clip(x, 0, 7)),
    "arithmetic": lambda x: L.Embedding(64, 3)(ops.maximum(ops.abs(x) // 2 + x % 3 * 2, 1)),
    "choice": lambda x: L.Embedding(64, 3)(ops.where(x > 10, x - 10, ops.maximum(x, 0))),
    "square": lambda x: L.Embedding(500, 3)(ops.square(x)),
    "as_floats": lambda x: ops.cast(x, "float32") * 0.1 - 1.0,
    "scaled": lambda x: x * 0.1,
    "divided": lambda x: x / 4,
}
QUICK = ("argmin", "nearest_code", "one_hot", "arithmetic")


def _named(names):
    return [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in names]


def _checked(model, x):
    np.testing.assert_allclose(canonical(model)[0](x), model(x), atol=1e-5)
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    difference = file.verify(quantized, x)
    assert difference.passed
    assert difference.max_lsb is None or difference.max_lsb <= 1
    return file


@pytest.mark.parametrize("name", _named(OF_FLOATS))
def test_of_floats(name):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 6))
    x = np.random.default_rng(0).normal(size=(64, 4, 6)).astype("float32")
    _checked(keras.Model(inputs, OF_FLOATS[name](L.Dense(6)(inputs))), x)


@pytest.mark.parametrize("name", _named(OF_INTEGERS))
def test_of_integers(name):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5,), dtype="int32")
    model = keras.Model(inputs, L.Dense(3)(OF_INTEGERS[name](inputs)))
    _checked(model, np.random.default_rng(0).integers(-3, 20, (64, 5)).astype("int32"))


def test_of_equal_values_the_first():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [ops.argmax(inputs, axis=-1), ops.argmin(inputs, axis=-1)])
    x = np.array([[1, 3, 3, 1], [0, 0, 0, 0], [2, 2, 5, 5]], "float32")
    for found, expected in zip(canonical(model)[0](x), model(x), strict=True):
        np.testing.assert_array_equal(found, expected)
