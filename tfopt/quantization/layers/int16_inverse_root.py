"""One by the square root, in integers of 16 bits."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfopt.quantization.operators.traits import Kind

SMALLEST = 1e-6
"""Smaller values count as this: integers may have rounded them to 0, and a larger root would leave the others
of a tensor few steps."""


@keras.saving.register_keras_serializable(package="tfopt")
class InverseRoot(keras.layers.Layer):
    """Returns `1 / sqrt(max(x, SMALLEST))`.

    LiteRT's RSQRT of 16 bits interpolates between 257 values that are evenly spaced from 0 to the end of the
    range: near a value `x` it is off by the share `0.09 * (end / 256 / x) ** 2`.
    """

    tfopt_kind = Kind.OWN_RANGE

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the inverse of the root of each element."""
        return tf.math.rsqrt(tf.maximum(inputs, tf.cast(SMALLEST, inputs.dtype)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape

    def lower(self) -> keras.layers.Layer:
        """Return the root alone: the range behind it cuts off."""
        return _Root(name=self.name, dtype="float32")


class _Root(keras.layers.Layer):
    """The layer in models for export."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.math.rsqrt(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape
