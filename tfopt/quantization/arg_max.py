"""Where the largest value stands."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.quantization.operations import Kind
from tfopt.quantization.place import Place


@keras.saving.register_keras_serializable(package="tfopt")
class ArgMax(keras.layers.Layer):
    """Returns the index of the largest value; of -0.0 and 0.0 the first, where Keras compares their bits.

    Args:
        axis: along which.
        keepdims: whether the axis stays, with size 1.
    """

    tfopt_kind = Kind.FLOAT

    def __init__(self, axis: int, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.keepdims = keepdims

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the indices, int32."""
        found = tf.argmax(inputs, axis=self.axis, output_type=tf.int32)
        return tf.expand_dims(found, self.axis) if self.keepdims else found

    def compute_output_spec(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the input's shape without the axis."""
        shape = list(inputs.shape)
        shape[self.axis : self.axis + 1 or None] = [1] if self.keepdims else []
        return keras.KerasTensor(shape, dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "axis": self.axis, "keepdims": self.keepdims}


def arg_max(place: Place, operation: Any, x: keras.KerasTensor) -> keras.KerasTensor | None:
    """Rewrite `ops.argmax`: the file has an operator for it, and none for Keras's comparison of bits."""
    if operation.axis is None or not keras.backend.is_float_dtype(x.dtype):
        return None
    return place.layer(ArgMax, operation.axis, keepdims=operation.keepdims, dtype=x.dtype)(x)
