"""Columns of very different size reach the normalization in float, and the rest of the model is integers."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.quantization import calibrate

SIZES = np.array([1.0, 1000.0, 0.01, 1e5])
X = (np.random.default_rng(0).normal(size=(256, 4)) * SIZES + [0.0, 5000.0, 0.0, 2e5]).astype("float32")
NORMALIZED = (X - X.mean(0)) / X.std(0)


WARNED = "'norm' is left in float.* the standard deviation of one is"


def _normalization(x):
    layer = L.Normalization(name="norm")
    layer.adapt(x)
    return layer


def _rest(x):
    return L.Dense(1, name="head")(L.Dense(16, activation="relu", name="hidden")(x))


def _one_input(x):
    inputs = keras.Input((x.shape[1],), name="columns")
    return keras.Model(inputs, _rest(_normalization(x)(inputs)))


def _input_a_column():
    inputs = [keras.Input((1,), name=f"column{index}") for index in range(4)]
    return keras.Model(inputs, _rest(_normalization(X)(L.Concatenate()(inputs))))


@pytest.mark.parametrize("way", ["int8", "quantize_aware"])
@pytest.mark.parametrize("split", [False, True])
def test_columns_of_very_different_size_keep_their_values(way, split):
    keras.utils.set_random_seed(0)
    model = _input_a_column() if split else _one_input(X)
    x = tuple(X[:, index : index + 1] for index in range(4)) if split else X
    if way == "quantize_aware":
        with pytest.warns(UserWarning, match=WARNED):
            source = tfopt.quantize_aware(model)
        calibrate(source, x)
        file = tfopt.to_tflite(source)
    else:
        with pytest.warns(UserWarning, match=WARNED):
            file = tfopt.to_tflite(model, "int8", x)
    assert {spec.dtype for spec in file.inputs} == {"float32"}
    assert file.verify(model, x, classification=False).snr_db > 20
    assert "FULLY_CONNECTED" not in {each.operator for each in file.summary().float_operators}


@pytest.mark.parametrize(("x", "scheme"), [(NORMALIZED, "int8"), (X[:, :2], "int16x8")])
def test_columns_that_one_grid_holds_are_integers(x, scheme):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        quantized = tfopt.quantize_aware(_one_input(x.astype("float32")), scheme)
    calibrate(quantized, x)
    assert not tfopt.to_tflite(quantized).summary().float_operators


def test_the_advice_leads_to_a_file_of_integers():
    """Normalize the data before the model."""
    inputs = keras.Input((4,))
    file = tfopt.to_tflite(keras.Model(inputs, _rest(inputs)), "int8", NORMALIZED.astype("float32"))
    assert not file.summary().float_operators
    assert {spec.dtype for spec in file.inputs} == {"int8"}
