"""Multiplying by constants and adding them, as one layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt.quantization.operators.op_traits import Kind, OpTraits


def _kind(layer: Any) -> Kind:
    numbers = isinstance(layer.scale, float) and isinstance(layer.offset, float)
    return Kind.SCALING if numbers else Kind.NORMALIZATION


@keras.saving.register_keras_serializable(package="tfopt")
class Scaling(keras.layers.Layer):
    """Returns `x * scale + offset`; Keras's Rescaling computes both even where one changes nothing.

    Args:
        scale, offset: numbers, or one value for each channel of the last axis.
    """

    tfopt_traits = OpTraits(kind=_kind)

    def __init__(
        self, scale: float | Sequence[float] = 1.0, offset: float | Sequence[float] = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.offset = offset

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the scaled input, in the layer's compute dtype."""
        x = keras.ops.cast(inputs, self.compute_dtype)
        if self.scale != 1.0:
            x = x * keras.ops.cast(self.scale, x.dtype)
        return x if self.offset == 0.0 else x + keras.ops.cast(self.offset, x.dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "scale": self.scale, "offset": self.offset}
