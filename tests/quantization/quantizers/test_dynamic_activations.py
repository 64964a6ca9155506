"""Inputs rounded in the range of the sample, as LiteRT does while a file runs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

from tfopt.quantization.quantizers import dynamic_activations


def _reference(x, axes):
    """XNNPACK's qd8 in plain NumPy: 255 steps from the smallest value to the largest, zero among them."""
    low = np.minimum(x.min(axis=axes, keepdims=True), 0)
    high = np.maximum(x.max(axis=axes, keepdims=True), 0)
    step = (high - low) / 255
    integers = np.rint(x / step) + np.rint(-128 - low / step)
    return (np.clip(integers, -128, 127) - np.rint(-128 - low / step)) * step


@pytest.mark.parametrize("axes", [(-1,), (1, 2)])
@pytest.mark.parametrize("shift", [-3.0, 0.3, 5.0])
def test_values_are_on_256_steps_of_their_range(axes, shift):
    x = np.random.default_rng(0).normal(shift, 1.0, size=(4, 30, 17)).astype("float32")
    x[:, :3] = 0  # a row of zeros has no step
    with tf.GradientTape() as tape:
        given = tf.constant(x)
        tape.watch(given)
        rounded = dynamic_activations.rounded(given, axes)
    filled = x if axes == (1, 2) else x[:, 3:]
    expected = _reference(filled.astype(np.float64), axes)
    wrong = np.abs(rounded.numpy()[:, -filled.shape[1] :] - expected)
    assert np.mean(wrong > 1e-5) < 0.005, "but for what lies next to the middle between two steps"
    assert wrong.max() < 1.01 * (filled.max() - min(filled.min(), 0)) / 255
    assert (rounded.numpy()[:, :3] == 0).all()
    np.testing.assert_array_equal(tape.gradient(rounded, given), np.ones_like(x))


def test_half_precision_has_the_range_of_single():
    x = np.random.default_rng(0).normal(size=(3, 9)).astype("float16")
    rounded = dynamic_activations.rounded(tf.constant(x), (-1,))
    assert rounded.dtype == tf.float16
    wide = dynamic_activations.rounded(tf.constant(x.astype("float32")), (-1,))
    np.testing.assert_array_equal(rounded, tf.cast(wide, tf.float16))


@pytest.mark.parametrize(
    ("layer", "bits", "axes"),
    [
        (lambda: L.Dense(3), 8, (-1,)),
        (lambda: L.Dense(1), 4, (-1,)),
        (lambda: L.Conv2D(3, 1, padding="same"), 8, (-1,)),  # XNNPACK makes a matrix product of it
        (lambda: L.Conv1D(3, 1), 5, (-1,)),
        (lambda: L.Conv2D(3, 1), 4, (1, 2, 3)),  # of which it takes none with 4 bits
        (lambda: L.Conv2D(1, 1), 4, (-1,)),  # stored in 8
        (lambda: L.Conv2D(3, 1, strides=2), 8, (1, 2, 3)),
        (lambda: L.Conv2D(4, 1, groups=2), 8, (1, 2, 3)),
        (lambda: L.Conv2D(3, (1, 2)), 8, (1, 2, 3)),
        (lambda: L.Conv1D(3, 3, dilation_rate=2), 8, (1, 2)),
        (lambda: L.DepthwiseConv2D(1), 8, (1, 2, 3)),
        (lambda: L.Conv2DTranspose(3, 1), 8, (1, 2, 3)),
        (lambda: L.Conv3D(3, 1), 8, None),
        (lambda: L.Embedding(3, 4), 8, None),
    ],
)
def test_what_has_a_range_of_its_own_depends_on_the_operator(layer, bits, axes):
    assert dynamic_activations.range_axes(layer(), bits) == axes


def test_a_step_compiled_by_xla_rounds_alike():
    x = keras.random.normal((4, 33), seed=0)
    compiled = tf.function(lambda x: dynamic_activations.rounded(x, (-1,)), jit_compile=True)
    np.testing.assert_allclose(compiled(x), dynamic_activations.rounded(x, (-1,)), atol=1e-6)
