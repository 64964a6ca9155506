"""What a rule leaves in float computes in float in the file: in front, in the middle and at the end."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.quantization import calibrate

LAYERS = {
    "dense": (lambda: L.Dense(6, activation="relu", name="part"), {"FULLY_CONNECTED"}),
    "batch_normalization": (lambda: L.BatchNormalization(name="part"), {"MUL"}),
    "normalization": (
        lambda: L.Normalization(mean=np.arange(6.0), variance=np.full(6, 4.0), name="part"),
        {"MUL"},
    ),
    "layer_normalization": (lambda: L.LayerNormalization(name="part"), {"RSQRT"}),
    "rescaling": (lambda: L.Rescaling(3.0, offset=1.0, name="part"), {"MUL"}),
    "tanh": (lambda: L.Activation("tanh", name="part"), {"TANH"}),
    "softmax": (lambda: L.Softmax(name="part"), {"SOFTMAX"}),
    "reshape": (lambda: L.Reshape((2, 3), name="part"), {"RESHAPE"}),
}
QUICK = {("front", "normalization"), ("middle", "dense"), ("end", "softmax")}


def _model(place, layer):
    before = [L.Dense(6)] if place != "front" else []
    after = [L.Flatten(), L.Dense(3)] if place != "end" else []
    return keras.Sequential([keras.Input((6,)), *before, layer, *after])


@pytest.mark.parametrize(
    ("place", "name"),
    [
        pytest.param(place, name, marks=() if (place, name) in QUICK else pytest.mark.slow)
        for place in ("front", "middle", "end")
        for name in LAYERS
    ],
)
def test_the_file_has_the_layer_in_float(place, name):
    keras.utils.set_random_seed(0)
    make, operators = LAYERS[name]
    model = _model(place, make())
    x = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")
    quantized = tfopt.quantize_aware(model, rules={"part": None})
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    found = {operator.operator for operator in file.summary().float_operators}
    if name == "reshape" and place != "end":  # it is undone at once
        operators = set()
    assert operators <= found
    assert "CAST" not in {operator.name for operator in file.summary().operators}
    difference = file.verify(quantized, x)
    assert difference.max_lsb is None or difference.max_lsb <= 1
    assert difference.snr_db > 40


def test_a_table_whose_columns_differ_in_size_keeps_all_of_them():
    keras.utils.set_random_seed(0)
    mean = np.array([0.02, 2, 20, 200, 2000, 40000], "float32")
    x = (np.random.default_rng(0).normal(size=(300, 6)) * mean / 2 + mean).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((6,)),
            L.Normalization(mean=mean, variance=(mean / 2) ** 2, name="norm"),
            L.Dense(16, activation="relu"),
            L.Dense(1),
        ]
    )
    quantized = tfopt.quantize_aware(model, rules={"norm": None})
    calibrate(quantized, x)
    expected = model.predict(x, verbose=0)
    error = quantized.predict(x, verbose=0) - expected
    assert error.var() < 0.01 * expected.var()
    file = tfopt.to_tflite(quantized)
    assert [spec.dtype for spec in file.inputs] == ["float32"]
    assert file.verify(quantized, x).max_lsb <= 1
