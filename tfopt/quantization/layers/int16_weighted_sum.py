"""A sum over the channels, which a file computes as a product with a kernel."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.quantization.operators.traits import Kind


@keras.saving.register_keras_serializable(package="tfopt")
class WeightedSum(keras.layers.Layer):
    """Returns `weight * sum(x) + offset` over the last axis, which stays with size 1.

    Exported as a Dense layer of one unit: LiteRT's FULLY_CONNECTED in 16 bits takes a tenth of the time of
    its MEAN, and adds the offset before it rounds.

    Args:
        weight: positive; 1 / channels for a mean.
        offset: what is added.
    """

    tfopt_kind = Kind.OWN_RANGE

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
