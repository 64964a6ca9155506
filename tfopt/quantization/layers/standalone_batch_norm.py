"""A BatchNormalization, or another map affine in each channel, that is fused into no convolution."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.quantization.layers.as_image import OfImages


@keras.saving.register_keras_serializable(package="tfopt")
class StandaloneAffine(keras.layers.Wrapper):
    """Trains as the layer inside and is exported as a 1x1 depthwise convolution.

    LiteRT has no batch normalization; the multiplication and addition that it would become stay in
    float. A depthwise kernel has one weight a channel, which its own scale represents without error.

    Args:
        layer: a BatchNormalization, LayerScale, Affine or Scaling over the last axis, of any fixed rank.
    """

    tfopt_wrapper = True

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Call the layer inside."""
        trains = isinstance(self.layer, keras.layers.BatchNormalization)
        return self.layer(inputs, training=training) if trains else self.layer(inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape

    def build(self, input_shape: tuple) -> None:
        """Build the layer inside."""
        self._shape = tuple(input_shape)
        super().build(input_shape)

    def factors(self) -> Factors:
        """Return what it multiplies each channel with and what it adds, as they are now; or one for all."""
        return _FACTORS[type(self.layer).__name__](self.layer)

    def lower(self) -> keras.Layer:
        """Return the depthwise convolution, with the statistics as they are now."""
        channels = self._shape[-1]
        scale, offset = (np.broadcast_to(x, channels) for x in self.factors())
        depthwise = keras.layers.DepthwiseConv2D(1, dtype="float32", name=self.name)
        depthwise.build((None, 1, 1, channels))
        depthwise.set_weights([scale.reshape(1, 1, channels, 1), offset])
        return OfImages(depthwise, name=self.name, dtype="float32")


Factors = tuple[np.ndarray, np.ndarray]


def _batch_normalization(layer: Any) -> Factors:
    scale = 1.0 / np.sqrt(layer.moving_variance.numpy() + layer.epsilon)
    if layer.scale:
        scale = scale * layer.gamma.numpy()
    offset = -layer.moving_mean.numpy() * scale
    return scale, offset + layer.beta.numpy() if layer.center else offset


def _affine(layer: Any) -> Factors:
    scale = layer.gamma.numpy().ravel() if layer.scale else np.ones(1)
    return scale, layer.beta.numpy().ravel() if layer.center else np.zeros(1)


_FACTORS: dict[str, Callable[[Any], Factors]] = {
    "Affine": _affine,
    "BatchNormalization": _batch_normalization,
    "LayerScale": lambda layer: (layer.gamma.numpy(), np.zeros(1)),
    "Scaling": lambda layer: (np.asarray(layer.scale), np.asarray(layer.offset)),
}
"""The name of a class that is affine in each channel -> its factor and its summand for each.

Not in the registry of operators, which says that they are affine and not what they compute.
"""
