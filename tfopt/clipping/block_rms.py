"""Clipping the root mean square of each gradient."""

import math
from collections.abc import Sequence

import tensorflow as tf

from tfopt.clipping.gradients import Gradient, l2_norm, scale_to


def block_rms(
    gradients: Sequence[Gradient], variables: Sequence, threshold: float | tf.Tensor
) -> list[Gradient]:
    """Shrink each gradient to a root mean square of `threshold` at most: `g / max(1, RMS(g) / threshold)`.

    A norm grows with the size of a variable, the root mean square does not: one threshold suits all layers.
    Rows that a sparse gradient does not hold count as zeros.

    Reference: Shazeer and Stern, Adafactor: Adaptive Learning Rates with Sublinear Memory Cost (2018,
    arXiv 1804.04235), section 5, where it bounds the update.

    Args:
        gradients: dense tensors or `tf.IndexedSlices`.
        variables: the weights, in the same order, for their sizes.
        threshold: largest root mean square of one variable's gradient, > 0.
    """
    return [
        scale_to(g, l2_norm([g]) / math.sqrt(math.prod(variable.shape)), threshold)
        for g, variable in zip(gradients, variables, strict=True)
    ]
