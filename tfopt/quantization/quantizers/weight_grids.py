"""The grids of weights: from floats to the few values that a file will hold, with gradients to train by.

All work on a kernel as columns, `(weights, channels)`: a column has one scale. Gradients pass
straight through rounding (Bengio et al., 2013, arXiv 1308.3432).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import tensorflow as tf

SMALLEST_SCALE = 1e-9
"""A channel of zeros has a scale of zero otherwise, and a division by it no value."""

SCALES_OF_BLOCKS = (2.0**-17, 2.0**15)
"""Between these, float16 has the eight binary digits of bfloat16, which XNNPACK reads."""

Round = Callable[[tf.Tensor], tf.Tensor]


def columns(kernel: tf.Tensor, channel_axes: Sequence[int]) -> tuple[tf.Tensor, Callable]:
    """Return `kernel` as columns, one a channel, and the function that turns such columns back.

    Args:
        kernel: of any shape.
        channel_axes: the axes that number the channels, counted from the end; none makes one column.
    """
    rank = len(kernel.shape)
    last = [axis % rank for axis in channel_axes]
    order = [axis for axis in range(rank) if axis not in last] + last
    inverse = [order.index(axis) for axis in range(rank)]
    ordered = kernel if order == sorted(order) else tf.transpose(kernel, order)
    channels = 1
    for axis in last:
        channels *= kernel.shape[axis]

    def back(rows: tf.Tensor) -> tf.Tensor:
        shaped = tf.reshape(rows, ordered.shape)
        return shaped if order == sorted(order) else tf.transpose(shaped, inverse)

    return tf.reshape(ordered, [-1, channels]), back


def blocks(rows: tf.Tensor, size: int) -> tuple[tf.Tensor, Callable]:
    """Return columns cut into blocks, each a column of its own, and the function that joins such again.

    Args:
        rows: columns, `(weights, channels)`.
        size: how many weights of a channel are a block; it divides their number. The first block of each
            channel comes first.
    """
    weights, channels = rows.shape
    cut = tf.transpose(tf.reshape(rows, [weights // size, size, channels]), [1, 0, 2])

    def back(columns: tf.Tensor) -> tf.Tensor:
        return tf.reshape(tf.transpose(tf.reshape(columns, cut.shape), [1, 0, 2]), rows.shape)

    return tf.reshape(cut, [size, -1]), back


def scale_of_block(scale: tf.Tensor) -> tf.Tensor:
    """Return the next larger scales that a file can hold for blocks; gradients pass straight through.

    TFLite keeps them as float16, of which XNNPACK reads what bfloat16 has: eight binary digits. Upwards, for
    the largest weight of a block is to stay on the grid.
    """
    kept = tf.clip_by_value(scale, *SCALES_OF_BLOCKS)
    # Not by a cast and back, which XLA takes out.
    digits = tf.bitcast(tf.bitwise.bitwise_and(tf.bitcast(kept, tf.int32) + 0xFFFF, ~0xFFFF), tf.float32)
    return scale + tf.stop_gradient(digits - scale)


def top(bits: int) -> int:
    """Return the largest integer of a symmetric grid without the odd lowest value: 127, 7, 1."""
    return max(1, 2 ** (bits - 1) - 1)


def scale_of_largest(rows: tf.Tensor, bits: int) -> tf.Tensor:
    """Return the scales with which the largest magnitude of each column is the last value of the grid."""
    largest = tf.stop_gradient(tf.reduce_max(tf.abs(rows), axis=0))
    return tf.maximum(largest / top(bits), SMALLEST_SCALE)


def nearest(x: tf.Tensor) -> tf.Tensor:
    """Round to the nearest integer, halves upwards as fake quantization does."""
    return x + tf.stop_gradient(tf.floor(x + 0.5) - x)


def stochastic(uniform: tf.Tensor) -> Round:
    """Return the rounding to one of the two neighbours, the nearer the likelier: right on average.

    Args:
        uniform: random numbers in [0, 1) of the shape of what is rounded.

    Reference:
        Gupta et al., 2015, Deep Learning with Limited Numerical Precision (arXiv 1502.02551), section 3.1.
    """
    return lambda x: x + tf.stop_gradient(tf.floor(x + uniform) - x)


def on_grid(rows: tf.Tensor, scale: tf.Tensor, bits: int, rounded: Round = nearest) -> tf.Tensor:
    """Return `rows` on the multiples of `scale` that have `bits` bits; weights beyond get no gradient.

    The gradient of `scale` is that of LSQ (Esser et al., 2020, arXiv 1902.08153, equation 3).
    """
    last = float(top(bits))
    return scale * rounded(tf.clip_by_value(rows / scale, -last, last))


def learned_scale(scale: tf.Tensor, weights: int, bits: int) -> tf.Tensor:
    """Return `scale` with its gradient scaled by 1 / sqrt(weights * Q), so that it learns as they do.

    Args:
        scale: the trained scale of each column.
        weights: how many weights have it.
        bits: of the grid; Q is its largest integer.

    Reference:
        Esser et al., 2020, Learned Step Size Quantization (arXiv 1902.08153), section 2.2.
    """
    factor = (weights * top(bits)) ** -0.5
    return scale * factor + tf.stop_gradient(scale * (1.0 - factor))


def first_scale(rows: tf.Tensor, bits: int) -> tf.Tensor:
    """Return what `learned_scale` starts from: 2 mean|w| / sqrt(Q) (Esser et al., 2020, section 2.1)."""
    return tf.maximum(2.0 * tf.reduce_mean(tf.abs(rows), axis=0) / top(bits) ** 0.5, SMALLEST_SCALE)


def binary_scale(rows: tf.Tensor) -> tf.Tensor:
    """Return the mean magnitude of each column.

    Reference:
        Rastegari et al., 2016, XNOR-Net (arXiv 1603.05279), equation 6.
    """
    return tf.maximum(tf.stop_gradient(tf.reduce_mean(tf.abs(rows), axis=0)), SMALLEST_SCALE)


def binary(rows: tf.Tensor) -> tf.Tensor:
    """Return each column's mean magnitude with the weights' signs; beyond -1 and 1 there is no gradient."""
    clipped = tf.clip_by_value(rows, -1.0, 1.0)
    scale = binary_scale(rows)
    return clipped + tf.stop_gradient(tf.where(rows >= 0, scale, -scale) - clipped)


def _above_threshold(rows: tf.Tensor) -> tf.Tensor:
    """Return 1 for the weights that stay, 0 for those that become zero."""
    magnitudes = tf.abs(rows)
    return tf.cast(magnitudes > 0.7 * tf.reduce_mean(magnitudes, axis=0), rows.dtype)


def ternary_scale(rows: tf.Tensor) -> tf.Tensor:
    """Return the mean magnitude of the weights of each column that do not become zero."""
    kept = _above_threshold(rows)
    mean = tf.reduce_sum(tf.abs(rows) * kept, axis=0) / tf.maximum(tf.reduce_sum(kept, axis=0), 1.0)
    return tf.maximum(tf.stop_gradient(mean), SMALLEST_SCALE)


def ternary(rows: tf.Tensor) -> tf.Tensor:
    """Return the columns in -scale, 0, scale: zero where a magnitude is at most 0.7 of the mean magnitude.

    Reference:
        Li, Zhang, Liu, 2016, Ternary Weight Networks (arXiv 1605.04711), equations 5 and 6.
    """
    made = tf.sign(rows) * _above_threshold(rows) * ternary_scale(rows)
    return rows + tf.stop_gradient(made - rows)
