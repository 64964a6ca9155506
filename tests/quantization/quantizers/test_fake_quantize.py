"""Fake quantization against the formulas, in NumPy."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfopt.quantization.quantizers import fake_quantize


def reference_weights(rows):
    """Symmetric, one scale a column, -127..127 (TFLite 8-bit quantization specification)."""
    scale = np.abs(rows).max(axis=0) / 127
    safe = np.where(scale > 0, scale, 1)
    return np.where(scale > 0, np.floor(rows / safe + 0.5).clip(-127, 127) * scale, 0)


def reference_activations(x, low, high):
    """Asymmetric, 256 values, the range shifted so that zero is one of them."""
    scale = (high - low) / 255
    zero_point = np.floor(-low / scale + 0.5)
    return (np.floor(x / scale + zero_point + 0.5).clip(0, 255) - zero_point) * scale


@pytest.mark.parametrize(
    ("shape", "axes", "columns"),
    [
        ((30, 7), (-1,), 7),
        ((3, 5, 8), (-1,), 8),
        ((3, 3, 5, 8), (-1,), 8),
        ((2, 3, 3, 5, 8), (-1,), 8),
        ((9,), (-1,), 9),
        ((3, 3, 6, 2), (-2, -1), 12),
    ],
)
def test_weights_lie_on_the_grid_of_their_channel(shape, axes, columns):
    kernel = np.random.default_rng(0).normal(size=shape).astype("float32")
    got = fake_quantize.weights(tf.constant(kernel), axes).numpy()
    expected = reference_weights(kernel.reshape(-1, columns)).reshape(shape)
    step = np.abs(kernel.reshape(-1, columns)).max() / 127
    # Ties may fall either way in float32, which moves a value by one step.
    assert np.mean(np.abs(got - expected) > 1e-6) < 0.01
    assert np.abs(got - expected).max() <= step * 1.001


def test_zero_weights_stay_exactly_zero_and_zero_channels_do_not_divide_by_zero():
    kernel = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    kernel[::3] = 0
    kernel[:, 2] = 0
    got = fake_quantize.weights(tf.constant(kernel), (-1,)).numpy()
    assert np.isfinite(got).all()
    assert (got[kernel == 0] == 0).all()


@pytest.mark.parametrize(("low", "high"), [(-1.0, 3.0), (0.0, 6.0), (-0.3, 0.01), (-128.0, 127.0)])
def test_activations_lie_on_the_grid_that_holds_zero(low, high):
    x = np.linspace(low * 1.3 - 0.1, high * 1.3 + 0.1, 997).astype("float32")
    got = fake_quantize.activations(tf.constant(x), low, high).numpy()
    expected = reference_activations(x, low, high)
    assert np.mean(np.abs(got - expected) > (high - low) * 1e-5) < 0.01
    assert np.abs(got - expected).max() <= (high - low) / 255 * 1.001
    assert len(np.unique(got)) <= 256
    assert 0.0 in got


@pytest.mark.parametrize(("low", "high"), [(0.5, 2.0), (-3.0, -1.0), (0.0, 0.0)])
def test_ranges_are_widened_to_hold_zero(low, high):
    low, high = (float(x) for x in fake_quantize.holding_zero(tf.constant(low), tf.constant(high)))
    assert low <= 0 <= high
    assert high - low >= fake_quantize.SMALLEST_WIDTH * 0.99


def test_gradients_pass_inside_the_range_and_not_outside():
    x = tf.constant([-2.0, -0.5, 0.2, 0.9, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = fake_quantize.activations(x, -1.0, 1.0)
    np.testing.assert_array_equal(tape.gradient(y, x), [0, 1, 1, 1, 0])


def test_means_of_integers_are_rounded_away_from_the_integer_zero():
    low, high = -1.0, 1.55  # a step of 0.01, the integer zero at 0.28
    halves = np.array([-0.995, -0.005, 0.005, 0.275, 0.285, 0.305, 1.005], "float32")
    nudged = fake_quantize.away_from_zero(tf.constant(halves), tf.constant(low), tf.constant(high))
    got = fake_quantize.activations(nudged, low, high).numpy()
    np.testing.assert_allclose(got, [-1.0, -0.01, 0.0, 0.27, 0.29, 0.31, 1.01], atol=1e-5)


def test_means_by_a_convolution_are_rounded_to_even_steps():
    halves = np.array([-0.995, -0.985, -0.004, 0.005, 0.015, 0.026, 1.005], "float32")
    nudged = fake_quantize.halves_to_even(tf.constant(halves), tf.constant(-1.0), tf.constant(1.55))
    got = fake_quantize.activations(nudged, -1.0, 1.55).numpy()
    np.testing.assert_allclose(got, [-1.0, -0.98, 0.0, 0.0, 0.02, 0.03, 1.0], atol=1e-5)


def test_the_largest_weight_of_a_channel_has_a_gradient():
    for jit_compile, shape in itertools.product((False, True), ((20, 50), (3, 7, 50), (3, 3, 7, 50))):
        kernel = tf.constant(np.random.default_rng(0).normal(size=shape).astype("float32"))

        @tf.function(jit_compile=jit_compile)
        def gradient(kernel):
            with tf.GradientTape() as tape:
                tape.watch(kernel)
                y = tf.reduce_sum(fake_quantize.weights(kernel, (-1,)))
            return tape.gradient(y, kernel)

        np.testing.assert_array_equal(gradient(kernel), np.ones(shape))
