"""Batches of one shape: without those that are not full."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def full_batches(batches: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
    """Return the batches of `batch_size` samples, in a shape that is known before any of them is read.

    Args:
        batches: of tensors, samples first; the last one of an epoch may be smaller.
        batch_size: samples a batch.
    """

    def is_full(*batch: Any) -> tf.Tensor:
        return tf.equal(tf.shape(tf.nest.flatten(batch)[0])[0], batch_size)

    def shaped(*batch: Any) -> Any:
        return tf.nest.map_structure(lambda x: tf.ensure_shape(x, [batch_size, *x.shape[1:]]), batch)

    return batches.filter(is_full).map(shaped).prefetch(2)
