"""An operator for images, called with a tensor of any rank."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf


class OfImages(keras.layers.Wrapper):
    """Calls a layer that keeps the shape of images, with any tensor as one row of pixels.

    Only models for export hold it. It is one layer, not a model of three, so that the operators of a file
    have the name of the layer that they stand for.

    Args:
        layer: takes `(batch, height, width, channels)` and returns that shape.
    """

    def build(self, input_shape: tuple) -> None:
        """Build the layer inside for images."""
        super().build((input_shape[0], *_image(input_shape[1:])))

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the output of the layer for the tensor, in the tensor's shape."""
        sizes = tuple(inputs.shape[1:])
        image = _image(sizes)
        if image == sizes:
            return self.layer(inputs)
        return keras.ops.reshape(self.layer(keras.ops.reshape(inputs, (-1, *image))), (-1, *sizes))

    def compute_output_shape(self, input_shape: tuple) -> Any:
        """Return the input's shape."""
        return input_shape


def _image(sizes: tuple[int, ...]) -> tuple[int, ...]:
    *others, channels = sizes or (1,)
    return sizes if len(sizes) == 3 else (1, math.prod(others), channels)
