"""The windows of an average pooling: how many values each holds."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.quantization import calibrate
from tfopt.quantization.quantizers import average_pool


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(("pool", "strides"), [((3, 3), (1, 1)), ((3, 2), (2, 1)), ((2, 5), (3, 4))])
def test_a_cut_window_lacks_what_a_convolution_adds_as_zeros(pool, strides, padding):
    ones, kernel = np.ones((1, 7, 8, 1), "float32"), np.full((*pool, 1, 1), 1 / np.prod(pool), "float32")
    shares = np.asarray(keras.ops.conv(ones, kernel, strides, padding))
    found = average_pool.factors((7, 8), pool, strides, same=padding == "same")
    np.testing.assert_allclose(average_pool.product(found) * shares[0], 1.0, rtol=1e-6)


def test_what_becomes_a_convolution():
    assert average_pool.convolved((5, 5), [[1.0], [1.0]])
    assert not average_pool.convolved((6, 6), [[1.0], [1.0]])  # too many weights
    assert average_pool.convolved((3, 3), [[1.5, 1.0], [1.5, 1.0]])
    assert not average_pool.convolved((2, 2), [[1.0, 2.0], [1.0, 2.0]])  # rounded too coarsely in the corner
    assert average_pool.whole((4, 4), (4, 4), average_pool.factors((4, 4), (4, 4), (4, 4), same=False))
    assert not average_pool.whole((5, 5), (4, 4), average_pool.factors((5, 5), (4, 4), (4, 4), same=False))


@pytest.mark.parametrize(
    "pooling",
    [
        lambda x: keras.layers.AveragePooling2D(3, 1, padding="same")(x),
        lambda x: keras.layers.AveragePooling2D((1, 2))(x),
        lambda x: keras.ops.average_pool(x, 2),
    ],
)
def test_a_pooling_is_quantized_in_the_range_of_its_input(pooling):
    inputs = keras.Input((6, 6, 2), name="x")
    model = tfopt.quantize_aware(keras.Model(inputs, pooling(inputs)))
    x = np.random.default_rng(0).normal(size=(32, 6, 6, 2)).astype("float32")
    calibrate(model, x)
    quantizer = model.get_layer("x.quantizer")
    step = float(quantizer.maximum - quantizer.minimum) / 255
    integers = np.asarray(model(x)) / step
    np.testing.assert_allclose(integers, np.rint(integers), atol=1e-2)
    exact = np.asarray(pooling(x))
    assert np.abs(integers * step - exact).max() < 2 * step
    assert np.abs(integers * step - exact).mean() < 0.5 * step
