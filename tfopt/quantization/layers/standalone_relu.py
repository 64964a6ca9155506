"""A ReLU that is fused into no operator, lowered to one that LiteRT's delegate runs."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt import _validation
from tfopt.quantization.layers.as_image import OfImages


@keras.saving.register_keras_serializable(package="tfopt")
class StandaloneReLU(keras.layers.Layer):
    """Trains as a ReLU and is exported as one fused into a max pooling over single pixels.

    XNNPACK does not take RELU and RELU6 in int8: they ran 90 times slower than in float. A pooling returns
    values in the scale that it is given, so that the range of the ReLU is that of its input.

    Args:
        max_value: the ceiling, 6 or None.
    """

    def __init__(self, max_value: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_value = _validation.choice("StandaloneReLU", "max_value", max_value, (None, 6.0))

    def build(self, input_shape: tuple) -> None:
        """Remember the shape, of which the pooling must know every size."""
        self._shape = tuple(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the ReLU of the input."""
        return keras.ops.relu(inputs) if self.max_value is None else keras.ops.relu6(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape

    def lower(self) -> keras.Layer:
        """Return the pooling and the ReLU, which the converter fuses."""
        relu = keras.layers.ReLU(self.max_value, dtype="float32", name=self.name)
        if None in self._shape[1:]:
            return relu
        pooling = keras.layers.MaxPooling2D(
            1, dtype="float32", data_format="channels_last", name="single_pixels"
        )
        pooled = keras.Sequential([pooling, relu], name="pooled")
        return OfImages(pooled, name=self.name, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "max_value": self.max_value}
