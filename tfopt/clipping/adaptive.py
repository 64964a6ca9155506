"""Adaptive gradient clipping: the gradient's norm relative to the weight's."""

from collections.abc import Sequence

import tensorflow as tf

from tfopt.clipping.gradients import Gradient, scale_to, values

SMALLEST_WEIGHT_NORM = 1e-3
"""A unit of zeros, such as a fresh bias, could otherwise never be trained (the paper's epsilon)."""


def unit_norms(x: tf.Tensor, rank: int) -> tf.Tensor:
    """Return the norm of each unit, broadcastable to `x`: one a column of a kernel, one for a whole bias."""
    axes = list(range(rank - 1)) if rank > 1 else None
    return tf.sqrt(tf.reduce_sum(tf.square(tf.cast(x, tf.float32)), axes, keepdims=True))


def adaptive(
    gradients: Sequence[Gradient], variables: Sequence, threshold: float | tf.Tensor
) -> list[Gradient]:
    """Shrink each unit's gradient whose norm exceeds `threshold` times the norm of the unit's weights.

    A unit is what feeds one output: all axes but the last of a Keras kernel; a bias or a scale is one unit.
    The paper leaves the last linear layer out.

    Reference: Brock et al., High-Performance Large-Scale Image Recognition Without Normalization (2021,
    arXiv 2102.06171), equation 3.

    Args:
        gradients: dense tensors or `tf.IndexedSlices`.
        variables: the weights, in the same order.
        threshold: largest ratio of gradient norm to weight norm, > 0; the paper uses 0.01 to 0.16.
    """
    clipped = []
    for gradient, variable in zip(gradients, variables, strict=True):
        rank = len(variable.shape)
        largest = threshold * tf.maximum(unit_norms(variable, rank), SMALLEST_WEIGHT_NORM)
        clipped.append(scale_to(gradient, unit_norms(values(gradient), rank), largest))
    return clipped
