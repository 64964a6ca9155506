"""Training batches whose order depends on the seed and the epoch alone, so that resuming is exact."""

from __future__ import annotations

import tensorflow as tf

from tfopt.data.structure import Arrays, count, map_leaves


def training_batches(
    parts: tuple[Arrays, ...], batch_size: int, *, seed: int, first_epoch: int, epochs: int
) -> tf.data.Dataset:
    """Return the batches of the epochs `first_epoch` to `epochs - 1`, one epoch after another.

    Args:
        parts: inputs, labels and perhaps weights of the samples: what `fit` takes a batch of.
        batch_size: samples a batch.
        seed, first_epoch, epochs: see `Dataset.training_batches`.

    `tf.data.Dataset.shuffle` draws from a state that lives in the iterator: an epoch's order would
    depend on where the process began. A stateless shuffle of the indices does not.
    """
    samples = count(parts[0])
    # Captured as tensors in host memory; arrays met while tracing become constants of the graph, whose
    # size is limited to 2 GB.
    with tf.device("CPU:0"):
        held = tuple(map_leaves(tf.constant, part) for part in parts)

    def order(epoch: tf.Tensor) -> tf.data.Dataset:
        indices = tf.random.experimental.stateless_shuffle(
            tf.range(samples, dtype=tf.int64), seed=tf.stack([tf.constant(seed, tf.int64), epoch])
        )
        return tf.data.Dataset.from_tensor_slices(indices).batch(batch_size)

    def batch(indices: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tuple(map_leaves(lambda array: tf.gather(array, indices), part) for part in held)

    return (
        tf.data.Dataset.range(first_epoch, epochs)
        .flat_map(order)
        .map(batch, num_parallel_calls=1)
        .prefetch(2)
    )
