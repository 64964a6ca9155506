"""Training batches whose order depends on the seed and the epoch alone, so that resuming is exact."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import tensorflow as tf

from tfopt.data.samples import is_streamed
from tfopt.data.streaming.stored import Stored
from tfopt.data.structure import Arrays, count, map_leaves

_AHEAD = 2
"""So many batches are made ready before they are asked for."""


def training_batches(
    parts: tuple[Arrays, ...],
    batch_size: int,
    *,
    seed: int,
    first_epoch: int,
    epochs: int,
    first_step: int = 0,
) -> tf.data.Dataset:
    """Return the batches of the epochs `first_epoch` to `epochs - 1`, one epoch after another.

    Args:
        parts: inputs, labels and perhaps weights of the samples: what `fit` takes a batch of.
        batch_size: samples a batch.
        seed, first_epoch, epochs, first_step: see `Dataset.training_batches`.

    `tf.data.Dataset.shuffle` draws from a state that lives in the iterator: an epoch's order would
    depend on where the process began. A stateless shuffle of the indices does not; and of samples that are
    read from disk it is one of all samples, where a buffer would mix neighbours only.
    """
    samples = count(parts[0])

    def order(epoch: tf.Tensor) -> tf.data.Dataset:
        indices = tf.random.experimental.stateless_shuffle(
            tf.range(samples, dtype=tf.int64), seed=tf.stack([tf.constant(seed, tf.int64), epoch])
        )
        return tf.data.Dataset.from_tensor_slices(indices).batch(batch_size)

    indices = tf.data.Dataset.range(first_epoch, epochs).flat_map(order)
    return _gathered(indices.skip(first_step) if first_step else indices, parts)


def batches_in_order(parts: tuple[Arrays, ...], batch_size: int) -> tf.data.Dataset:
    """Return all samples in batches, in their order; the last batch may be smaller."""
    return _gathered(tf.data.Dataset.range(count(parts[0])).batch(batch_size), parts)


def _gathered(indices: tf.data.Dataset, parts: tuple[Arrays, ...]) -> tf.data.Dataset:
    """Return the batches of samples with these indices; several are read at once where they are on disk."""
    # Captured as tensors in host memory; arrays met while tracing become constants of the graph, whose
    # size is limited to 2 GB.
    with tf.device("CPU:0"):
        held = tuple(map_leaves(lambda a: a if isinstance(a, Stored) else tf.constant(a), p) for p in parts)

    def rows(array: Any, chosen: tf.Tensor) -> tf.Tensor:
        return _read(array, chosen) if isinstance(array, Stored) else tf.gather(array, chosen)

    def batch(chosen: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(map_leaves(lambda array: rows(array, chosen), part) for part in held)

    return indices.map(batch, num_parallel_calls=_readers() if is_streamed(*parts) else 1).prefetch(_AHEAD)


def _read(array: Stored, chosen: tf.Tensor) -> tf.Tensor:
    def read(indices: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(array.read(indices))

    found = tf.numpy_function(read, [chosen], tf.as_dtype(array.dtype), stateful=False)
    found.set_shape((None, *array.shape[1:]))
    return found


def _readers() -> int:
    return min(os.cpu_count() or 1, 4)
