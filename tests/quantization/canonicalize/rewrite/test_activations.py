"""Activations in simpler operations, as layers, as the activation of a layer and as operations."""

import numpy as np
import pytest
from keras import layers as L
from keras import ops

BECOMES = {
    "silu": ["Activation", "Multiply"],
    "hard_sigmoid": ["Scaling", "Activation", "Scaling"],
    "hard_silu": ["Scaling", "Activation", "Scaling", "Multiply"],
    "mish": ["Activation", "Activation", "Multiply"],
}
X = np.linspace(-9.0, 9.0, 60, dtype="float32").reshape(3, 5, 4)


@pytest.mark.parametrize("name", BECOMES)
def test_a_layer(canonicalized, name):
    assert canonicalized(L.Activation(name), samples=[X]) == BECOMES[name]


@pytest.mark.parametrize("name", BECOMES)
def test_the_activation_of_a_layer(canonicalized, name):
    assert canonicalized(L.Dense(4, activation=name), samples=[X]) == ["Dense", *BECOMES[name]]


@pytest.mark.parametrize("name", ["silu", "hard_sigmoid", "hard_silu"])
def test_an_operation(canonicalized, name):
    assert canonicalized(getattr(ops, name), samples=[X]) == BECOMES[name]


@pytest.mark.parametrize(
    ("layer", "becomes"),
    [
        (L.ReLU(), ["ReLU"]),
        (L.ReLU(6.0), ["ReLU"]),
        (L.ReLU(3.0), ["Scaling", "Activation", "Scaling"]),
        (L.ReLU(negative_slope=0.2), ["LeakyReLU"]),
        (L.ReLU(negative_slope=0.2, max_value=2.0), ["ReLU"]),
        (L.ReLU(threshold=1.0), ["ReLU"]),
    ],
)
def test_a_relu(canonicalized, layer, becomes):
    assert canonicalized(layer, samples=[X]) == becomes


@pytest.mark.parametrize(
    ("limits", "becomes"),
    [
        ((0.0, 6.0), ["Activation"]),
        ((0.0, 1.0), ["Scaling", "Activation", "Scaling"]),
        ((-1.0, 5.0), ["Scaling", "Activation", "Scaling"]),
        ((-1.0, 2.0), ["Scaling", "Scaling", "Activation", "Scaling", "Scaling"]),
    ],
)
def test_a_clip(canonicalized, limits, becomes):
    assert canonicalized(lambda x: ops.clip(x, *limits), samples=[X]) == becomes
