"""The limits of an activation's grid, from the range of its values."""

from __future__ import annotations

import tensorflow as tf

from tfopt.quantization.quantizers import fake_quantize

_LARGEST = 2 ** (fake_quantize.NUM_BITS - 1) - 1

_LEAST_OF_16_BITS = 2e-4
"""The converter widens ranges of 8 bits narrower than 1e-6, whose scales would be others in the file."""


def asymmetric(minimum: tf.Tensor, maximum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the range widened to hold zero."""
    return fake_quantize.holding_zero(minimum, maximum)


def symmetric(minimum: tf.Tensor, maximum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return -128 and 127 times the scale that takes the range in: the zero point is the integer 0."""
    bound = _bound(minimum, maximum)
    return -bound * ((_LARGEST + 1) / _LARGEST), bound


def symmetric_of_16_bits(minimum: tf.Tensor, maximum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return -32768 and 32767 times the scale that takes the range in: TFLite's int16 has no zero point."""
    bound = tf.maximum(_bound(minimum, maximum), _LEAST_OF_16_BITS)
    return -bound * (2**15 / (2**15 - 1)), bound


def nonnegative(minimum: tf.Tensor, maximum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:  # noqa: ARG001
    """Return the range from 0, for values that cannot be negative."""
    return tf.zeros_like(maximum), tf.maximum(maximum, fake_quantize.least_width(maximum))


def _bound(minimum: tf.Tensor, maximum: tf.Tensor) -> tf.Tensor:
    bound = tf.maximum(-minimum, maximum)
    return tf.maximum(bound, fake_quantize.least_width(bound) / 2)
