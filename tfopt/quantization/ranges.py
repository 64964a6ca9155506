"""The ends of an activation's grid, from the range of its values."""

from __future__ import annotations

import tensorflow as tf

from tfopt.quantization import fake_quantize

_LARGEST = 2 ** (fake_quantize.NUM_BITS - 1) - 1


def asymmetric(minimum: tf.Tensor, maximum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the range widened to hold zero."""
    return fake_quantize.holding_zero(minimum, maximum)


def symmetric(minimum: tf.Tensor, maximum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return -128 and 127 steps of the size that takes the range in: the zero point is the integer 0."""
    bound = tf.maximum(tf.maximum(-minimum, maximum), fake_quantize.SMALLEST_WIDTH / 2)
    return -bound * ((_LARGEST + 1) / _LARGEST), bound


def nonnegative(minimum: tf.Tensor, maximum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:  # noqa: ARG001
    """Return the range from 0, for values that cannot be negative."""
    return tf.zeros_like(maximum), tf.maximum(maximum, fake_quantize.SMALLEST_WIDTH)
