"""Ranges of activations that gradients move: LSQ, LSQ+ and PACT."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfopt.quantization.quantizers import activation_limits, fake_quantize

LimitsOf = Callable[[tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""One of `asymmetric`, `symmetric` and `nonnegative` of `activation_limits`."""

_STEPS = 2**fake_quantize.NUM_BITS - 1
_LARGEST: dict[LimitsOf, int] = {
    activation_limits.asymmetric: _STEPS,
    activation_limits.nonnegative: _STEPS,
    activation_limits.symmetric: _STEPS // 2,
}
"""Q_p: the steps from the limit that stands still, or from 0, to the maximum."""
_SMALLEST: dict[LimitsOf, int] = {
    activation_limits.asymmetric: 0,
    activation_limits.nonnegative: 0,
    activation_limits.symmetric: -(_STEPS // 2) - 1,
}
"""-Q_n."""


def lsq(x: tf.Tensor, minimum: tf.Tensor, maximum: tf.Tensor, limits_of: LimitsOf) -> tf.Tensor:
    """Return `x` on the grid, with the gradients of learned step size quantization.

    With the step s and the offset b (`minimum`; 0 where the range has one limit alone),

        dy/ds = round((x - b) / s) - (x - b) / s inside the range, -Q_n below it, Q_p above it
        dy/db = 0 inside the range, 1 outside; dy/dx = 1 inside, 0 outside

    What is trained is not s but the limit of the range, Q_p s + b, and the gradients are those by the chain
    rule: with the step itself an optimizer whose own steps have a fixed size, such as Adam, would change it
    by several percent at once. The papers scale the gradient of s by 1 / sqrt(N Q_p) because it is large
    next to s; that of the limit is smaller by Q_p^2 in this respect, and is left as it is.

    Args:
        x: float32 of any shape.
        minimum, maximum: float32 scalars. `minimum` is trained with `activation_limits.asymmetric` only.
        limits_of: returns the limits of the grid.

    Reference:
        Esser et al., 2020, Learned Step Size Quantization (arXiv 1902.08153), equations 1 to 3; Bhalgat et
        al., 2020, LSQ+: Improving Low-Bit Quantization Through Learnable Offsets and Better Initialization
        (arXiv 2004.09576), equations 3 to 7.
    """
    largest, smallest = _LARGEST[limits_of], _SMALLEST[limits_of]

    @tf.custom_gradient
    def quantized(x: tf.Tensor, minimum: tf.Tensor, maximum: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        low, high = limits_of(minimum, maximum)
        y = fake_quantize.activations(x, low, high)

        def gradient(dy: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            inside, below, above = tf.raw_ops.FakeQuantWithMinMaxVarsGradient(
                gradients=dy, inputs=x, min=low, max=high, num_bits=fake_quantize.NUM_BITS
            )
            rounding = tf.reduce_sum(inside * (y - x)) * (_STEPS / (high - low))
            for_step = rounding + largest * above + smallest * below
            for_maximum = for_step / largest
            if limits_of is not activation_limits.asymmetric:
                return inside, tf.zeros_like(for_maximum), for_maximum
            return inside, above + below - for_maximum, for_maximum

        return y, gradient

    return quantized(x, minimum, maximum)


def pact(x: tf.Tensor, minimum: tf.Tensor, maximum: tf.Tensor, limits_of: LimitsOf) -> tf.Tensor:
    """Return `x` on the grid, with the gradients of parameterized clipping activation.

    A limit of the range has the gradient of the values clipped to it: dy/d(maximum) = 1 where x lies above
    it and 0 elsewhere, and so for the minimum, which the paper, with ReLU in mind, leaves at 0. The rounding
    has no part in it.

    Args:
        x: float32 of any shape.
        minimum, maximum: float32 scalars.
        limits_of: returns the limits of the grid.

    Reference:
        Choi et al., 2018, PACT: Parameterized Clipping Activation for Quantized Neural Networks (arXiv
        1805.06085), equations 1 to 3.
    """
    return fake_quantize.activations(x, *limits_of(minimum, maximum))
