"""Dividing by a tensor."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfopt.quantization.operations import Kind


@keras.saving.register_keras_serializable(package="tfopt")
class Inverse(keras.layers.Layer):
    """Returns `1 / x`, in float: the integer division of the converter is dozens of steps off.

    Written as a power, for a division the converter would quantize unasked.
    """

    tfopt_kind = Kind.FLOAT

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the inverse."""
        return keras.ops.power(inputs, keras.ops.cast(-1.0, inputs.dtype))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape
