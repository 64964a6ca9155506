"""Fake quantization: round to the integers that a file will hold, in floating point.

The scheme is TFLite's int8 (TensorFlow Lite 8-bit quantization specification; Jacob et al. 2018, arXiv
1712.05877, section 3): weights symmetric and per channel in -127..127, so that zero stays zero and the
zero point is 0; activations asymmetric and per tensor in -128..127. Gradients pass straight through
inside the range and are zero outside it.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from tfopt.quantization.quantizers.weight_grids import columns

NUM_BITS = 8

SMALLEST_WIDTH = 1e-4
"""A range narrower than this is widened: a scale of 0 divides by 0."""


def weights(kernel: tf.Tensor, channel_axes: Sequence[int], num_bits: int = NUM_BITS) -> tf.Tensor:
    """Return `kernel` on the grid of its largest magnitude in each channel.

    Args:
        kernel: float32 of any shape.
        channel_axes: the axes that number the output channels, counted from the end: `(-1,)` for Dense and
            Conv2D, `(-2, -1)` for depthwise kernels (input channel, multiplier), `(-2,)` for
            Conv2DTranspose; none for one grid of the whole kernel.
        num_bits: 2 to 8.
    """

    @tf.custom_gradient
    def quantized(kernel: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        by_last = [axis % kernel.shape.rank for axis in channel_axes] == [kernel.shape.rank - 1]
        rows, back = (kernel, tf.identity) if by_last else columns(kernel, channel_axes)
        largest = tf.reduce_max(tf.abs(rows), axis=list(range(len(rows.shape) - 1)))
        # Nothing lies outside, but TensorFlow's gradient finds the largest there as float32 rounds.
        return back(
            tf.quantization.fake_quant_with_min_max_vars_per_channel(
                rows, -largest, largest, num_bits=num_bits, narrow_range=True
            )
        ), lambda dy: dy

    return quantized(kernel)


def activations(x: tf.Tensor, minimum: tf.Tensor, maximum: tf.Tensor, num_bits: int = NUM_BITS) -> tf.Tensor:
    """Return `x` on the values of the range, which TensorFlow shifts to hold zero exactly.

    Args:
        x: float32 of any shape.
        minimum, maximum: float32 scalars, as `holding_zero` returns them.
        num_bits: 8 or 16, for 256 or 65536 values.
    """
    return tf.quantization.fake_quant_with_min_max_vars(x, minimum, maximum, num_bits=num_bits)


def away_from_zero(x: tf.Tensor, minimum: tf.Tensor, maximum: tf.Tensor) -> tf.Tensor:
    """Return `x` moved by a hair, so that `activations` rounds halves as LiteRT's AVERAGE_POOL_2D does.

    That rounds the mean of integers away from the integer 0, fake quantization upwards; and a mean of four
    integers is a half in one case of four.
    """
    scale = (maximum - minimum) / (2**NUM_BITS - 1)
    integer_zero = (2 ** (NUM_BITS - 1) + tf.round(minimum / scale)) * scale
    return x + tf.stop_gradient(tf.sign(x - integer_zero) * scale * 1e-3)


def halves_to_even(x: tf.Tensor, minimum: tf.Tensor, maximum: tf.Tensor) -> tf.Tensor:
    """Return `x` moved by a hair, so that `activations` rounds halves to the even multiple of the scale.

    So does XNNPACK, whose means are convolutions.
    """
    scale = (maximum - minimum) / (2**NUM_BITS - 1)
    even = tf.round(x / (2.0 * scale)) * 2.0 * scale
    return x + tf.stop_gradient(tf.sign(even - x) * scale * 1e-3)


def holding_zero(minimum: tf.Tensor, maximum: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the range widened to hold zero, and to `least_width`."""
    minimum, maximum = tf.minimum(minimum, 0.0), tf.maximum(maximum, 0.0)
    return minimum, tf.maximum(maximum, minimum + least_width(maximum - minimum))


def least_width(width: tf.Tensor) -> tf.Tensor:
    """Return how wide a range must be that is `width` wide: of an activation that is always zero, 1.

    LiteRT refuses or miscomputes an output whose scale is very much smaller than those of its inputs.
    """
    return tf.where(width > 0, SMALLEST_WIDTH, 1.0)
