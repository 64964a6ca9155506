"""Indices that may lie outside of a table."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.quantization.operators.op_traits import Kind, OpTraits


@keras.saving.register_keras_serializable(package="tfopt")
class RowOfIndex(keras.layers.Layer):
    """Returns the rows of indices in a table that has one more row at each end, 0 and `count + 1`.

    Args:
        count: how many indices there are: 0 to `count - 1`.
    """

    tfopt_traits = OpTraits(kind=Kind.FLOAT, exact_inputs=lambda node: node.inputs)

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.count = count

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the rows, int32; of floats the integers that they are cut to."""
        return tf.clip_by_value(tf.cast(inputs, tf.int32), -1, self.count) + 1

    def compute_output_spec(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the input's shape."""
        return keras.KerasTensor(inputs.shape, dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "count": self.count}
