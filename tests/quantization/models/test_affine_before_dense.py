"""Factors and summands before a layer whose weights are quantized stay out of its weights."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt

BEFORE = {
    "batch_normalization": lambda: [L.Dense(6, activation="relu"), L.BatchNormalization()],
    "first": lambda: [L.BatchNormalization()],
    "normalization": lambda: [L.Normalization(mean=np.arange(6.0), variance=np.arange(1.0, 7.0))],
    "rescaling": lambda: [L.Rescaling(0.3, offset=-0.7)],
    "constants": lambda: [L.Lambda(lambda x: (x - 1.0) / np.arange(1.0, 7.0).astype("float32"))],
    "after_dense": lambda: [L.Dense(6), L.BatchNormalization()],
    "layer_normalization": lambda: [L.LayerNormalization()],
}
LAYERS = {"dense": (6,), "conv": (6, 6, 6), "einsum": (4, 6)}


def _layer(name):
    if name == "einsum":
        return L.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")
    return L.Dense(3) if name == "dense" else L.Conv2D(3, 3)


def _as_trained(model):
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in layer.weights:
            if weight.name in ("moving_mean", "beta", "bias"):
                weight.assign(rng.normal(size=weight.shape))
            if weight.name in ("moving_variance", "gamma"):
                weight.assign(rng.uniform(0.2, 3.0, weight.shape))
    return model


@pytest.mark.parametrize(
    ("scheme", "before", "layer"),
    [
        pytest.param(
            scheme,
            before,
            layer,
            marks=()
            if (scheme, before, layer) == ("int8_weights", "batch_normalization", "dense")
            else pytest.mark.slow,
        )
        for scheme in ("int8_weights", "int4_weights", "dynamic")
        for before in BEFORE
        for layer in LAYERS
        if layer == "dense" or before == "batch_normalization"
    ],
)
def test_the_file_is_the_model_to_float_rounding(scheme, before, layer):
    keras.utils.set_random_seed(0)
    shape = LAYERS[layer]
    model = _as_trained(keras.Sequential([keras.Input(shape), *BEFORE[before](), _layer(layer)]))
    quantized = tfopt.quantize_aware(model, scheme)
    x = np.random.default_rng(0).normal(size=(64, *shape)).astype("float32")
    assert tfopt.to_tflite(quantized).verify(quantized, x).snr_db > 100
