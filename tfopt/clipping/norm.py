"""Clipping the norm of each gradient."""

from collections.abc import Sequence

import tensorflow as tf

from tfopt.clipping.gradients import Gradient, l2_norm, scale_to


def norm(gradients: Sequence[Gradient], variables: Sequence, threshold: float | tf.Tensor) -> list[Gradient]:  # noqa: ARG001 (one signature for all methods)
    """Shrink each gradient whose Euclidean norm exceeds `threshold` to that norm.

    Args:
        gradients: dense tensors or `tf.IndexedSlices`.
        variables: not used.
        threshold: largest norm of one variable's gradient, > 0.
    """
    return [scale_to(g, l2_norm([g]), threshold) for g in gradients]
