"""The exact GELU is one operator, whatever else is computed from the same tensor."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate

X = np.random.default_rng(0).normal(size=(8, 6, 6, 4)).astype("float32")
BESIDE = {
    "half": lambda x: 0.5 * x,
    "divided by two": lambda x: x / 2.0,
    "the argument of erfc": lambda x: ops.exp(-x * 0.70710678),
    "a factor": lambda x: (0.5 * x) * ops.tanh(0.5 * x),
    "the same GELU": lambda x: ops.tanh(ops.gelu(x, approximate=False)) + x,
}


def _gelus(file):
    return sum(operator.count for operator in file.summary().operators if operator.name == "GELU")


@pytest.mark.parametrize("beside", BESIDE)
def test_a_float_file(beside):
    inputs = keras.Input((6, 6, 4))
    model = keras.Model(inputs, L.Activation("gelu")(inputs) - BESIDE[beside](inputs))
    file = tfopt.to_tflite(model)
    np.testing.assert_allclose(file.predict(X), model.predict(X, verbose=0), atol=1e-5)
    assert _gelus(file) == 1


def test_two_gelus_of_one_tensor_and_its_half():
    inputs = keras.Input((6, 6, 4))
    x = L.Dense(4)(inputs)
    model = keras.Model(inputs, L.Activation("gelu")(x) + L.Conv2D(4, 1, activation="gelu")(x) - 0.5 * x)
    file = tfopt.to_tflite(model)
    np.testing.assert_allclose(file.predict(X), model.predict(X, verbose=0), atol=1e-5)
    assert _gelus(file) == 2


def test_beside_a_layer_in_float():
    inputs = keras.Input((6, 6, 4))
    x = L.Conv2D(4, 3, padding="same", name="float")(L.Activation("gelu")(inputs))
    model = tfopt.quantize_aware(keras.Model(inputs, L.Dense(3)(x - 0.5 * inputs)), rules={"float": None})
    calibrate(model, X)
    assert tfopt.to_tflite(model).verify(model, X).snr_db > 20
