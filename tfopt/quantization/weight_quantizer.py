"""A layer whose kernel is quantized whenever it is used."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfopt.quantization import fake_quantize
from tfopt.quantization.operations import kernel_axes


@keras.saving.register_keras_serializable(package="tfopt")
class WeightQuantizer(keras.layers.Wrapper):
    """Runs a layer with its kernel on the int8 grid; the float kernel is what training changes.

    The inner layer keeps its variables, constraints and regularizers, so that a pruned kernel stays
    pruned. Biases stay in float: a file holds them in 32 bits.

    Args:
        layer: a Conv2D, DepthwiseConv2D or Dense layer.
    """

    tfopt_quantizer = True
    tfopt_wrapper = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Call the layer with the quantized kernel in place of the kernel."""
        kernel, axes = kernel_axes(self.layer)
        with keras.StatelessScope(
            [(kernel, fake_quantize.weights(tf.cast(kernel.value, tf.float32), axes))], collect_losses=True
        ) as scope:
            outputs = self.layer(inputs)
        for loss in scope.losses:  # an activity regularizer's
            self.add_loss(loss)
        return outputs

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return what the layer returns."""
        return self.layer.compute_output_shape(input_shape)

    def lower(self) -> keras.Layer:
        """Return the layer without quantization: the converter finds the same grid by itself.

        With the fake quantization left in, conversion fails for Dense layers.
        """
        config = self.layer.get_config() | {"dtype": "float32", "name": self.name}
        bare = type(self.layer).from_config(config)
        bare.build(self.layer.get_build_config()["input_shape"])
        bare.set_weights(self.layer.get_weights())
        return bare
