"""Gradients, dense or sparse as `tf.gather` and so an Embedding makes them: values, norms and scaling."""

from collections.abc import Callable
from typing import TypeAlias

import tensorflow as tf

Gradient: TypeAlias = tf.Tensor | tf.IndexedSlices


def values(gradient: Gradient) -> tf.Tensor:
    """Return the entries that are stored: all others are zero."""
    return gradient.values if isinstance(gradient, tf.IndexedSlices) else gradient


def with_values(gradient: Gradient, new: tf.Tensor) -> Gradient:
    """Return `gradient` with other stored entries."""
    if isinstance(gradient, tf.IndexedSlices):
        return tf.IndexedSlices(new, gradient.indices, gradient.dense_shape)
    return new


def map_values(function: Callable[[tf.Tensor], tf.Tensor], gradient: Gradient) -> Gradient:
    """Return `gradient` with `function` of its stored entries."""
    return with_values(gradient, function(values(gradient)))


def sum_duplicates(gradient: Gradient) -> Gradient:
    """Return `gradient` with each row stored once.

    A token that occurs twice in a batch gives two slices of one row. Their sum is the gradient; a norm, a
    square or a bound of each alone is not that of the row.
    """
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, position = tf.unique(gradient.indices)
    summed = tf.math.unsorted_segment_sum(gradient.values, position, tf.size(rows))
    return tf.IndexedSlices(summed, rows, gradient.dense_shape)


def l2_norm(gradients: list[Gradient]) -> tf.Tensor:
    """Return the float32 norm of all gradients as one vector; inf or NaN where an entry is not finite."""
    return tf.sqrt(tf.reduce_sum(sums_of_squares(gradients)))


def sums_of_squares(gradients: list[Gradient]) -> tf.Tensor:
    """Return the float32 sum of the squares of all entries of each gradient, as one vector."""
    # One operation a gradient instead of two, which counts with hundreds of small variables.
    return 2.0 * tf.stack([tf.nn.l2_loss(tf.cast(values(g), tf.float32)) for g in gradients])


def scale_to(
    gradient: Gradient, norm: tf.Tensor, largest: tf.Tensor | float, epsilon: float = 0.0
) -> Gradient:
    """Return `gradient` times `largest / (norm + epsilon)` where `norm`, which broadcasts, is above it."""
    norm = tf.cast(norm, tf.float32)
    scale = tf.where(norm > largest, largest / (norm + epsilon), 1.0)
    return map_values(lambda g: g * tf.cast(scale, g.dtype), gradient)
