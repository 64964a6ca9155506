"""What has a row for each sample, as a layer: it is told the batch by another tensor."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfopt")
class OverBatch(keras.layers.Layer):
    """Repeats the rows of a tensor for each sample of another tensor: `(n, ...)` and `(batch, ...)`.

    The result has the shape `(batch * n, ...)`; most often `n` is 1. In a file, whose batch is fixed, it
    is a constant where the rows are.
    """

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the first input, once for each sample of the second."""
        rows, reference = inputs
        batch = keras.ops.shape(reference)[0]
        if rows.shape[0] == 1:
            return keras.ops.broadcast_to(rows, (batch, *rows.shape[1:]))
        return keras.ops.tile(rows, (batch, *(1 for _ in rows.shape[1:])))

    def compute_output_shape(self, input_shape: list[tuple]) -> tuple:
        """Return the shape of the first input with the rows for the batch of the second."""
        rows, reference = input_shape
        return (None if reference[0] is None else reference[0] * rows[0], *rows[1:])
