"""How LiteRT rounds the inputs of operators with integer weights whose activations are floats.

Such an operator finds the range of its input while the file runs, rounds it to 8 bits and multiplies
integers. The formulas are those of XNNPACK's `qd8` data type.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

_LOWEST, _HIGHEST = -128.0, 127.0
_NARROWEST = 1e-30
"""A narrower range is none; the division by it has no value."""

_FEWEST_BITS = {"Dense": 2, "Conv1D": 4, "Conv2D": 4}
"""Class of a layer -> the fewest bits of weights that its operator reads beside floats, 8 for others."""

_SAMPLE_AXES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("Conv1D", "Conv1DTranspose", "DepthwiseConv1D"), (1, 2)),
    **dict.fromkeys(("Conv2D", "Conv2DTranspose", "DepthwiseConv2D"), (1, 2, 3)),
}
"""Class of a layer -> the axes of its input that make one sample."""


def bits_in_file(layer: keras.Layer, bits: int) -> int:
    """Return in how many bits the operator of a layer reads weights of `bits` bits: 8, 4 or 2."""
    least = _FEWEST_BITS.get(type(layer).__name__, 8)
    if getattr(layer, "filters", None) == 1:  # of 4 bits, LiteRT takes one channel as one scale for all
        least = 8
    return next(each for each in (2, 4, 8) if each >= max(bits, least))


def range_axes(layer: Any, bits: int) -> tuple[int, ...] | None:
    """Return the axes of a layer's input over which one range is taken; None where nothing is rounded.

    Args:
        layer: with a kernel, or an Embedding.
        bits: of its weights.
    """
    name = type(layer).__name__
    if name == "Dense" or (_is_product(layer) and bits_in_file(layer, bits) == 8):
        return (-1,)
    return _SAMPLE_AXES.get(name)


def _is_product(layer: Any) -> bool:
    """Return whether a convolution is a matrix product of each pixel, as which XNNPACK computes it."""
    if type(layer).__name__ not in ("Conv1D", "Conv2D"):
        return False
    return {*layer.kernel_size, *layer.strides, layer.groups} == {1}


def rounded(x: tf.Tensor, axes: tuple[int, ...]) -> tf.Tensor:
    """Return `x` on 256 values from its smallest to its largest, zero among them; gradients pass unchanged.

    Args:
        x: of any floating dtype.
        axes: over which one range is taken.
    """

    @tf.custom_gradient
    def on_grid(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        low = tf.minimum(tf.reduce_min(x, axes, keepdims=True), 0.0)
        high = tf.maximum(tf.reduce_max(x, axes, keepdims=True), 0.0)
        width = high - low
        per_step = tf.where(width > _NARROWEST, (_HIGHEST - _LOWEST) / tf.maximum(width, _NARROWEST), 1.0)
        # Both are the integer zero; XNNPACK takes that of the end that the rounding of it moves less.
        from_low, from_high = _LOWEST - low * per_step, _HIGHEST - high * per_step
        zero = tf.where(from_low + from_high < 2.0 * (_LOWEST + _HIGHEST), from_low, from_high)
        zero = tf.round(tf.clip_by_value(zero, _LOWEST, _HIGHEST))
        integers = tf.clip_by_value(tf.round(x * per_step) + zero, _LOWEST, _HIGHEST)
        return (integers - zero) / per_step, lambda dy: dy

    return tf.cast(on_grid(tf.cast(x, tf.float32)), x.dtype)
