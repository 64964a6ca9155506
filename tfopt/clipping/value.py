"""Clipping each entry."""

from collections.abc import Sequence

import tensorflow as tf

from tfopt.clipping.gradients import Gradient, map_values


def value(gradients: Sequence[Gradient], variables: Sequence, threshold: float | tf.Tensor) -> list[Gradient]:  # noqa: ARG001 (one signature for all methods)
    """Bound every entry to `[-threshold, threshold]`.

    Args:
        gradients: dense tensors or `tf.IndexedSlices`.
        variables: not used.
        threshold: largest absolute value, > 0.
    """

    def bound(g: tf.Tensor) -> tf.Tensor:
        limit = tf.cast(threshold, g.dtype)
        return tf.clip_by_value(g, -limit, limit)

    return [map_values(bound, g) for g in gradients]
