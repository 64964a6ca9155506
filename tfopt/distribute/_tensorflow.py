"""The one place that knows the private parts of `tf.distribute` which a multi-worker run needs."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.python.eager import context


def abort_collectives(reason: str) -> None:
    """Let every collective that waits, and every later one, raise `tf.errors.UnavailableError` with a reason.

    Nothing public wakes up a process that waits for another one's part of a sum.
    """
    context.context().abort_collective_ops(tf.errors.UNAVAILABLE, reason)


def has_started() -> bool:
    """Return whether TensorFlow has run an operation or made its devices: too late to join a cluster."""
    return context.context()._initialized


def task_of(strategy: tf.distribute.MultiWorkerMirroredStrategy) -> tuple[str, int] | None:
    """Return the task of this process in a strategy of several workers; `None` in one of a single process."""
    extended = strategy.extended
    return (extended._task_type, extended._task_id) if extended._in_multi_worker_mode() else None
