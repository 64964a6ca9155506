"""Dividing by a tensor."""

from __future__ import annotations

import keras
import tensorflow as tf

from tfopt.quantization.layers.finite_gradients import with_finite_gradient
from tfopt.quantization.operators.op_traits import Kind, OpTraits

LARGEST = 1e4
"""The largest inverse that a quotient is computed with; float16 holds it."""


def _inverse(x: tf.Tensor) -> tf.Tensor:
    return keras.ops.power(x, keras.ops.cast(-1.0, x.dtype))


@keras.saving.register_keras_serializable(package="tfopt")
class Inverse(keras.layers.Layer):
    """Returns `1 / x`, in float: the integer division of the converter is off by dozens of scales.

    Written as a power, for a division the converter would quantize unasked.
    """

    tfopt_traits = OpTraits(kind=Kind.FLOAT, singular=True)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the inverse."""
        return with_finite_gradient(_inverse, inputs)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        """Return the input's shape."""
        return input_shape


@keras.saving.register_keras_serializable(package="tfopt")
class Quotient(keras.layers.Layer):
    """Returns `x / y`, in float, as a product with the inverse.

    The inverse has no range of its own: that of `x / norm(x)` would be that of the smallest norm.
    """

    tfopt_traits = OpTraits(kind=Kind.FLOAT, singular=True)

    def call(self, inputs: list[tf.Tensor]) -> tf.Tensor:
        """Return the first input divided by the second."""
        x, y = inputs
        inverse = with_finite_gradient(_inverse, y)
        # Integers may have rounded a small `y` to 0, and 0 / 0 is no number.
        return x * keras.ops.clip(inverse, -LARGEST, LARGEST)

    def compute_output_spec(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Return the shape that NumPy broadcasts to."""
        return keras.KerasTensor(keras.ops.multiply(*inputs).shape, dtype=self.compute_dtype)
