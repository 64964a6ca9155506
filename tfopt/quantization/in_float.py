"""A tensor that a layer in float reads, although what makes it is quantized."""

from __future__ import annotations

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfopt")
class InFloat(keras.layers.Layer):
    """Returns its input; in a file it keeps the layer that reads it in float.

    TensorFlow's converter quantizes every operator that has an integer kernel and stands between quantized
    tensors. It has no rule for a cast, so what reads one stays in float; the casts are taken out of the file
    that it writes, see `tfopt.export.float_casts`.
    """

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the input."""
        return tf.identity(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape

    def lower(self) -> keras.Layer:
        """Return a cast to float64 and back, which changes no value."""
        return _ThereAndBack(name=self.name, dtype="float32")


class _ThereAndBack(keras.layers.Layer):
    """The layer in models for export."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.cast(inputs, tf.float64), tf.float32)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape
