"""How long a training waits for its data, as a share of its time."""

from __future__ import annotations

import time
from typing import Any

import keras
import tensorflow as tf


class DataWait(keras.callbacks.Callback):
    """Measures the time in which a training step wants a batch that is not there yet.

    A pipeline of `tf.data` is asked for each batch inside the compiled step. `timed` puts a clock before and
    after that request, at the end of the pipeline: what is read ahead meanwhile costs no wait. The time of an
    epoch is that of its steps, from its beginning to its last one, without validation.

    Under several replicas TensorFlow itself asks ahead, so nothing is measured there.
    """

    async_safe = True  # it never reads the logs of a batch, so nothing has to wait for a device

    def __init__(self) -> None:
        super().__init__()
        self._waited: Any = None
        self._trained = 0.0
        self._began = self._last = 0.0

    def timed(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """Return the batches with the clock."""
        with tf.device("CPU:0"):
            waited = self._waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)
        asked = tf.data.Dataset.range(tf.int64.max).map(lambda _: tf.timestamp())

        def note(moment: tf.Tensor, batch: Any) -> Any:
            waited.assign_add(tf.timestamp() - moment)
            return batch

        return tf.data.Dataset.zip((asked, batches)).map(note)  # a zip asks the first one first

    @property
    def share(self) -> float | None:
        """The share, from 0 to 1; `None` where nothing was measured."""
        if self._waited is None or self._trained <= 0:
            return None
        return min(float(self._waited.numpy()) / self._trained, 1.0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Begin to measure."""
        self._began = self._last = time.monotonic()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Take the time of the last step so far."""
        self._last = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Add the time of the epoch."""
        self._trained += self._last - self._began
