"""The last part of a normalization: a factor and a summand for each channel."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt.quantization.operators.op_traits import Kind, OpTraits


@keras.saving.register_keras_serializable(package="tfopt")
class Affine(keras.layers.Layer):
    """Returns `x * gamma + beta` over the last axis, in the layer's compute dtype.

    Args:
        shape: of gamma and beta, whose elements are the channels in this order.
        center: whether there is a beta.
        scale: whether there is a gamma.
        beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: as of LayerNormalization.
    """

    tfopt_traits = OpTraits(kind=Kind.NORMALIZATION)

    def __init__(
        self,
        shape: tuple[int, ...],
        center: bool = True,
        scale: bool = True,
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.shape = tuple(shape)
        self.center = center
        self.scale = scale
        self.beta_regularizer = keras.regularizers.get(beta_regularizer)
        self.gamma_regularizer = keras.regularizers.get(gamma_regularizer)
        self.beta_constraint = keras.constraints.get(beta_constraint)
        self.gamma_constraint = keras.constraints.get(gamma_constraint)

    def build(self, input_shape: Any) -> None:  # noqa: ARG002 (Keras's signature)
        """Create the weights."""
        self.gamma = self._weight("gamma", "ones") if self.scale else None
        self.beta = self._weight("beta", "zeros") if self.center else None

    def _weight(self, name: str, initializer: str) -> keras.Variable:
        return self.add_weight(
            name=name,
            shape=self.shape,
            initializer=initializer,
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            autocast=False,
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the scaled and moved input."""
        if self.gamma is not None:
            inputs = inputs * keras.ops.reshape(keras.ops.cast(self.gamma, inputs.dtype), (-1,))
        if self.beta is not None:
            inputs = inputs + keras.ops.reshape(keras.ops.cast(self.beta, inputs.dtype), (-1,))
        return keras.ops.cast(inputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "shape": list(self.shape),
            "center": self.center,
            "scale": self.scale,
            "beta_regularizer": keras.regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": keras.regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": keras.constraints.serialize(self.beta_constraint),
            "gamma_constraint": keras.constraints.serialize(self.gamma_constraint),
        }
