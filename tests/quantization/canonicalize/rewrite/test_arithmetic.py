"""Sums, products and quotients with constants and of many tensors."""

import numpy as np
import pytest
from keras import layers as L
from keras import ops

SHAPE = (4, 3)
BY_CHANNEL = np.array([0.5, -1.0, 2.0], "float32")


@pytest.mark.parametrize(
    ("function", "becomes"),
    [
        (lambda x: x + 2.0, ["Scaling"]),
        (lambda x: x * BY_CHANNEL, ["Scaling"]),
        (lambda x: x + 0.0, []),
        (lambda x: -x, ["Scaling"]),
        (lambda x: 3.0 - x, ["Scaling", "Scaling"]),
        (lambda x: ops.subtract(BY_CHANNEL, x), ["Scaling"]),
        (lambda x: x / 4.0, ["Scaling"]),
        (lambda x: 2.0 / (x * x + 1.0), ["Multiply", "Scaling", "Inverse", "Scaling"]),
        (lambda x: x / (x * x + 1.0), ["Multiply", "Scaling", "Quotient"]),
        (lambda x: ops.reciprocal(x * x + 1.0), ["Multiply", "Scaling", "Inverse"]),
        (lambda x: ops.square(x), ["Multiply"]),
        (lambda x: x**2, ["Multiply"]),
        (lambda x: (x * x) ** 1.5, ["Multiply", "FiniteGradient"]),
        (lambda x: ops.maximum(x, 0), ["ReLU"]),
        (lambda x: ops.maximum(x, BY_CHANNEL), ["Scaling", "ReLU", "Scaling"]),
        (lambda x: ops.minimum(x, 0.5), ["Scaling", "Scaling", "ReLU", "Scaling", "Scaling"]),
        (lambda x: L.Rescaling(2.0, -1.0)(x), ["Scaling", "Scaling"]),
        (lambda x: L.Rescaling(BY_CHANNEL.tolist())(x), ["Scaling"]),
        (lambda x: L.Normalization(mean=BY_CHANNEL, variance=BY_CHANNEL**2)(x), ["Scaling"]),
        (lambda x: L.Normalization(mean=1.0, variance=4.0, invert=True)(x), ["Scaling"]),
    ],
)
def test_with_a_constant(canonicalized, function, becomes):
    assert canonicalized(function, SHAPE) == becomes


@pytest.mark.parametrize(
    ("layer", "pair"),
    [
        (L.Add, "Add"),
        (L.Multiply, "Multiply"),
        (L.Maximum, "Maximum"),
        (L.Minimum, "Minimum"),
    ],
)
def test_of_many_tensors_two_by_two(canonicalized, layer, pair):
    assert canonicalized(lambda *x: layer()(list(x)), *[SHAPE] * 4) == [pair] * 3
    assert canonicalized(lambda *x: layer()(list(x)), *[SHAPE] * 2) == [pair]


def test_an_average_is_a_sum_and_a_factor(canonicalized):
    assert canonicalized(lambda *x: L.Average()(list(x)), *[SHAPE] * 3) == ["Add", "Add", "Scaling"]


def test_a_quotient_of_tensors_of_different_rank(canonicalized):
    canonicalized(lambda x, y: x / (ops.square(y) + 1.0), (4, 3), (1, 3))
    canonicalized(lambda x, y: x / (ops.square(y[:, 0]) + 1.0)[:, None], (4, 3), (1, 3))


def test_integers_are_left_whole(canonicalized):
    found = canonicalized(lambda x: x * 2, samples=[np.array([[1, 2], [3, 4]], "int32")])
    assert found == ["Multiply"]
