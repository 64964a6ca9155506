"""How much a replica's loss counts where replicas have batches of different lengths.

Keras averages the loss over a replica's samples, and gradients over replicas. That is the mean over all
samples where all replicas have the same number of them; the last batch of an epoch may not divide.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

_HERE = threading.local()
"""Replicas are traced in threads of their own."""


def counted(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a training step in which `weighed` knows the samples of this replica and of all.

    Args:
        step: takes a batch, as `keras.Model.train_step`.
    """

    @functools.wraps(step)
    def counting(batch: Any) -> Any:
        context = tf.distribute.get_replica_context()
        own = tf.cast(samples_in(batch), tf.float32)
        everywhere = context.all_reduce(tf.distribute.ReduceOp.SUM, own)
        _HERE.share = own * context.num_replicas_in_sync / everywhere
        try:
            return step(batch)
        finally:
            _HERE.share = None

    return counting


def samples_in(batch: Any) -> tf.Tensor:
    """Return how many samples a batch has, as `fit` takes it: inputs, or a tuple of them and targets."""
    inputs = keras.utils.unpack_x_y_sample_weight(batch)[0]
    return tf.shape(keras.tree.flatten(inputs)[0])[0]


def has_samples() -> tf.Tensor | None:
    """Return whether this replica has samples of the batch of the step that is traced; `None`: all have."""
    share = getattr(_HERE, "share", None)
    return None if share is None else share > 0


@contextlib.contextmanager
def alike() -> Iterator[None]:
    """Let `weighed` return values as they are: for what is weighed once already, or later."""
    share = getattr(_HERE, "share", None)
    _HERE.share = None
    try:
        yield
    finally:
        _HERE.share = share


def weighed(value: Any) -> Any:
    """Return a loss or gradient times the replica's share of the samples, 1 where all have the same "
    "number."""
    share = getattr(_HERE, "share", None)
    return value if share is None else value * tf.cast(share, value.dtype)
