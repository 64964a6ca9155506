"""A BatchNormalization that no convolution takes in."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf


@keras.saving.register_keras_serializable(package="tfopt")
class StandaloneBatchNormalization(keras.layers.Wrapper):
    """Trains as the BatchNormalization inside and is exported as a 1x1 depthwise convolution.

    LiteRT has no batch normalization; the multiplication and addition that it would become stay in
    float. A depthwise kernel has one weight a channel, which its own scale represents without error.

    Args:
        layer: a BatchNormalization over the last axis, of rank 2 or 4.
    """

    tfopt_quantizer = True
    tfopt_wrapper = True

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Normalize."""
        return self.layer(inputs, training=training)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape

    def lower(self) -> keras.Layer:
        """Return the depthwise convolution with the moving statistics."""
        norm = self.layer
        scale = 1.0 / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
        if norm.scale:
            scale = scale * norm.gamma.numpy()
        offset = -norm.moving_mean.numpy() * scale
        if norm.center:
            offset = offset + norm.beta.numpy()
        channels = len(scale)
        depthwise = keras.layers.DepthwiseConv2D(1, dtype="float32", name=self.name)
        depthwise.build((None, 1, 1, channels))
        depthwise.set_weights([scale.reshape(1, 1, channels, 1), offset])
        if norm.input_spec.ndim == 4:
            return depthwise
        return keras.Sequential(
            [
                keras.Input((channels,)),
                keras.layers.Reshape((1, 1, channels), dtype="float32"),
                depthwise,
                keras.layers.Reshape((channels,), dtype="float32"),
            ],
            name=self.name,
        )
