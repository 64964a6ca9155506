"""The parts of a normalization of each sample that LiteRT computes in 16 bits.

`rewrite/int16_normalization.py` puts them together.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.quantization.operators.op_traits import Kind, OpTraits

SMALLEST = 1e-6
"""Smaller values count as this: integers may have rounded them to 0, and a larger root would leave the others
of a tensor few values."""


@keras.saving.register_keras_serializable(package="tfopt")
class Magnitudes(keras.layers.Layer):
    """Returns the magnitudes of the largest and of the smallest value of the last axis, shape `(..., 2)`.

    A few microseconds in 16 bits, where the mean magnitude takes a hundred.
    """

    tfopt_traits = OpTraits(kind=Kind.OWN_RANGE)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return both."""
        largest = tf.reduce_max(inputs, axis=-1, keepdims=True)
        smallest = tf.reduce_min(inputs, axis=-1, keepdims=True)
        return tf.abs(tf.concat([largest, smallest], axis=-1))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape with two channels."""
        return (*input_shape[:-1], 2)


@keras.saving.register_keras_serializable(package="tfopt")
class WeightedSum(keras.layers.Layer):
    """Returns `weight * sum(x) + offset` over the last axis, which stays with size 1.

    Exported as a Dense layer of one unit: LiteRT's FULLY_CONNECTED in 16 bits takes a tenth of the time of
    its MEAN, and adds the offset before it rounds.

    Args:
        weight: positive; 1 / channels for a mean.
        offset: what is added.
    """

    tfopt_traits = OpTraits(kind=Kind.OWN_RANGE)

    def __init__(self, weight: float, offset: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.weight = weight
        self.offset = offset

    def build(self, input_shape: tuple) -> None:
        """Remember the number of channels."""
        self._channels = input_shape[-1]
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the sum, of shape `(..., 1)`."""
        return keras.ops.sum(inputs, axis=-1, keepdims=True) * self.weight + self.offset

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape with one channel."""
        return (*input_shape[:-1], 1)

    def lower(self) -> keras.layers.Layer:
        """Return the Dense layer."""
        dense = keras.layers.Dense(1, use_bias=self.offset != 0.0, dtype="float32", name=self.name)
        dense.build((None, self._channels))
        kernel = np.full((self._channels, 1), self.weight, np.float32)
        dense.set_weights([kernel, np.full(1, self.offset, np.float32)] if dense.use_bias else [kernel])
        return dense

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "weight": self.weight, "offset": self.offset}


@keras.saving.register_keras_serializable(package="tfopt")
class InverseRoot(keras.layers.Layer):
    """Returns `1 / sqrt(max(x, SMALLEST))`.

    LiteRT's RSQRT of 16 bits interpolates between 257 values that are evenly spaced from 0 to the limit of
    the range: near a value `x` it is off by the share `0.09 * (limit / 256 / x) ** 2`.
    """

    tfopt_traits = OpTraits(kind=Kind.OWN_RANGE)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the inverse of the root of each element."""
        return tf.math.rsqrt(tf.maximum(inputs, tf.cast(SMALLEST, inputs.dtype)))

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the shape of the input."""
        return input_shape

    def lower(self) -> keras.layers.Layer:
        """Return the root alone: the range after it cuts off."""
        return _Root(name=self.name, dtype="float32")


class _Root(keras.layers.Layer):
    """The layer in models for export."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.math.rsqrt(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return input_shape
