"""Rows for each sample, as a layer that takes the size of the batch from another tensor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.graph.layers.constant import Constant


@keras.saving.register_keras_serializable(package="tfopt")
class OverBatch(keras.layers.Layer):
    """Repeats the rows of a tensor for each sample of another tensor: `(n, ...)` and `(batch, ...)`.

    The result has the shape `(batch * n, ...)`; most often `n` is 1. In a file, whose batch is fixed, it
    is a constant where the rows are.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True  # lest Keras warns of the mask of what tells the batch

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Return no mask: that of the other tensor is no concern of the rows."""

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


@keras.saving.register_keras_serializable(package="tfopt")
class BatchSize(keras.layers.Layer):
    """Returns how many samples a tensor has, as a number in its dtype.

    Args:
        times: what it is multiplied with.
    """

    def __init__(self, times: int = 1, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.times = times
        self.supports_masking = True  # lest Keras warns

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the size of the first axis."""
        return tf.cast(tf.shape(inputs)[0] * self.times, self.compute_dtype)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:  # noqa: ARG002 (Keras's signature)
        """Return a number."""
        return keras.KerasTensor((), dtype=self.compute_dtype)

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Return None: the number is of no sequence."""

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "times": self.times}


def valued(operation: Any, inputs: Sequence[Any]) -> Sequence[Any]:
    """Return the first of an operation's inputs, whose values it reads: others tell it the batch alone.

    Args:
        operation: a layer or operation.
        inputs: the tensors that it is called with.
    """
    if isinstance(operation, Constant):
        return ()
    return inputs[:1] if isinstance(operation, OverBatch) else inputs


ONE_BATCH = (
    *(keras.layers.Add, keras.layers.Subtract, keras.layers.Multiply, keras.layers.Average),
    *(keras.layers.Maximum, keras.layers.Minimum, keras.layers.Attention, keras.layers.AdditiveAttention),
)
"""Layers of a list of tensors that broadcast one of batch 1; Keras takes the batch of the result for 1."""


def of_one_batch(tensors: Any, make: Callable[[int, str], keras.Layer] | None = None) -> Any:
    """Return a list of tensors with those of batch 1 repeated for the batch of the others.

    Args:
        tensors: symbolic or not; what is no list is returned as it is.
        make: returns the `OverBatch` for the n-th of them, of a dtype.
    """
    if not isinstance(tensors, (list, tuple)) or not all(isinstance(x, keras.KerasTensor) for x in tensors):
        return tensors
    others = [x for x in tensors if x.shape and x.shape[0] != 1]
    if not others or len(others) == len(tensors):
        return tensors
    over_batch = make or (lambda _, dtype: OverBatch(dtype=dtype))
    return [
        over_batch(number, x.dtype)([x, others[0]]) if x.shape[:1] == (1,) and len(x.shape) > 1 else x
        for number, x in enumerate(tensors)
    ]
