"""Booleans and integers as numbers that can be quantized, by a layer."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfopt.quantization.operators.op_traits import Kind, OpTraits


@keras.saving.register_keras_serializable(package="tfopt")
class AsFloat(keras.layers.Layer):
    """Returns booleans or integers as numbers of the layer's compute dtype."""

    tfopt_traits = OpTraits(kind=Kind.FLOAT, casts=True)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the input, cast."""
        return keras.ops.cast(inputs, self.compute_dtype)

    def compute_output_spec(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the input's shape."""
        return keras.KerasTensor(inputs.shape, dtype=self.compute_dtype)
