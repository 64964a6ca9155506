"""Where the largest or the smallest value is."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import tensorflow as tf

from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.operators.op_traits import Kind, OpTraits

Tensor: TypeAlias = keras.KerasTensor


@keras.saving.register_keras_serializable(package="tfopt")
class ArgMax(keras.layers.Layer):
    """Returns the index of the largest value; of -0.0 and 0.0 the first, where Keras compares their bits.

    Args:
        axis: along which.
        keepdims: whether the axis stays, with size 1.
        smallest: whether it is the index of the smallest value.
    """

    tfopt_traits = OpTraits(kind=Kind.FLOAT)

    def __init__(self, axis: int, keepdims: bool = False, smallest: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.keepdims = keepdims
        self.smallest = smallest

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the indices, int32."""
        find = tf.argmin if self.smallest else tf.argmax
        found = find(inputs, axis=self.axis, output_type=tf.int32)
        return tf.expand_dims(found, self.axis) if self.keepdims else found

    def compute_output_spec(self, inputs: Tensor) -> Tensor:
        """Return the input's shape without the axis."""
        shape = list(inputs.shape)
        shape[self.axis : self.axis + 1 or None] = [1] if self.keepdims else []
        return keras.KerasTensor(shape, dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {"axis": self.axis, "keepdims": self.keepdims, "smallest": self.smallest}
        return {**super().get_config(), **own}


def arg_max(context: RewriteContext, operation: Any, x: Tensor) -> Tensor | None:
    """Rewrite `ops.argmax` or `ops.argmin`.

    The file has an operator for them, and none for Keras's comparison of bits.
    """
    if operation.axis is None or not keras.backend.is_float_dtype(x.dtype):
        return None
    options = {"keepdims": operation.keepdims, "smallest": type(operation).__name__ == "Argmin"}
    return context.layer(ArgMax, operation.axis, **options, dtype=x.dtype)(x)
