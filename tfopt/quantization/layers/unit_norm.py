"""Vectors divided by their length, also those of zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.quantization.operators.op_traits import Kind, OpTraits


@keras.saving.register_keras_serializable(package="tfopt")
class UnitVectors(keras.layers.Layer):
    """Returns `x / sqrt(max(sum(x**2), least))`, in float.

    TensorFlow's converter turns `rsqrt(max(s, least))` into `min(rsqrt(s), 1 / sqrt(least))`, and the inverse
    root of 0 is no number in LiteRT's delegate: a vector of zeros, such as padding, would turn all that
    follows into NaN.

    Args:
        axis: along which the squares are summed.
        least: the least sum that is divided by.
    """

    tfopt_traits = OpTraits(kind=Kind.FLOAT)

    def __init__(self, axis: int | Sequence[int], least: float = 1e-24, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.least = least

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return vectors of length 1, or of zeros."""
        total = tf.reduce_sum(tf.square(inputs), axis=self.axis, keepdims=True)
        total += tf.nn.relu(tf.cast(self.least, total.dtype) - total)
        return inputs * tf.math.rsqrt(total)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "axis": self.axis, "least": self.least}
