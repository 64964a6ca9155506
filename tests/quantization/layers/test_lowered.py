"""Layers in training compute what they are exported as."""

import keras
import numpy as np
import pytest
from keras import layers as L

from tfopt.quantization import Scaling, StandaloneAffine, StandaloneReLU
from tfopt.quantization.layers.channel_affine import Affine
from tfopt.quantization.layers.finite_gradients import FiniteGradient
from tfopt.quantization.layers.int16_norm import SMALLEST, InverseRoot, Magnitudes, WeightedSum

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype("float32")


def _trained(layer):
    layer.build(X.shape)
    rng = np.random.default_rng(1)
    for variable in layer.variables:
        variable.assign(rng.uniform(0.5, 2.0, variable.shape))
    return layer


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (lambda: StandaloneReLU(), X),
        (lambda: StandaloneReLU(6.0), 9.0 * X),
        (lambda: StandaloneAffine(L.BatchNormalization()), X),
        (lambda: StandaloneAffine(L.BatchNormalization(center=False, scale=False)), X),
        (lambda: StandaloneAffine(Affine((4,))), X),
        (lambda: StandaloneAffine(Affine((4,), center=False)), X),
        (lambda: StandaloneAffine(Scaling([0.5, -1.0, 2.0, 3.0], 0.25)), X),
        (lambda: WeightedSum(0.25), X),
        (lambda: WeightedSum(0.5, 0.1), X),
        (lambda: InverseRoot(), np.abs(X) + 0.1),
        (lambda: FiniteGradient("sqrt"), np.abs(X)),
        (lambda: FiniteGradient("norm", {"axis": -1, "keepdims": True}), X),
    ],
)
def test_the_exported_layer_computes_the_same(layer, x):
    layer = _trained(layer())
    lowered = layer.lower()
    assert type(lowered) is not type(layer) or isinstance(layer, FiniteGradient)
    np.testing.assert_allclose(lowered(x), layer(x), atol=1e-5, rtol=1e-5)


def test_the_size_of_channels_is_that_of_their_largest_and_smallest():
    np.testing.assert_array_equal(Magnitudes()(X)[..., 0], np.abs(X.max(-1)))
    np.testing.assert_array_equal(Magnitudes()(X)[..., 1], np.abs(X.min(-1)))


def test_a_root_of_zero_is_bounded():
    assert float(keras.ops.max(InverseRoot()(np.zeros(3, "float32")))) == pytest.approx(SMALLEST**-0.5)


@pytest.mark.parametrize("shape", [(4,), (5, 4), (2, 5, 4), (2, 3, 5, 4)])
def test_a_standalone_normalization_takes_any_rank(shape):
    x = np.random.default_rng(0).normal(size=(3, *shape)).astype("float32")
    layer = StandaloneAffine(L.BatchNormalization())
    layer.build(x.shape)
    layer.layer.moving_mean.assign([0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(layer.lower()(x), layer(x), atol=1e-6)
