"""Roots, logarithms and quotients whose gradient stays finite where rounding has made their argument 0.

In float, `sqrt(variance + 1e-5)` is never taken of 0. Of a rounded variance it may be: the root then has an
infinite slope, which times the 0 of what lies outside a range is no number, and spoils all weights before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfopt.quantization.operators.op_traits import Kind, OpTraits

_OF_MANY = ("std", "norm")
"""The functions of `keras.ops` that are not of each element."""

SMALLEST = 1e-7
"""What stands for 0 in the gradient where a tensor is 0 everywhere."""


def with_finite_gradient(
    function: Callable[[tf.Tensor], tf.Tensor], x: tf.Tensor, of_elements: bool = True
) -> tf.Tensor:
    """Return `function(x)`, with the slope at half the smallest magnitude in place of that at 0.

    Half of the smallest magnitude that is not 0 is at least half a scale of the rounding: the middle of what
    was rounded to 0.

    Args:
        function: of a tensor.
        x: the tensor.
        of_elements: whether the function is one of each element. The slope of others, such as a norm, is 0
            where it is no number.
    """

    @tf.custom_gradient
    def computed(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
        def gradient(dy: tf.Tensor) -> tf.Tensor:
            moved = _without_zeros(x) if of_elements else x
            with tf.GradientTape() as tape:
                tape.watch(moved)
                y = function(moved)
            slope = tape.gradient(y, moved, output_gradients=dy)
            return tf.where(tf.math.is_finite(slope), slope, tf.zeros_like(slope))

        return function(x), gradient

    return computed(x)


def _without_zeros(x: tf.Tensor) -> tf.Tensor:
    magnitude = tf.abs(x)
    floor = tf.reduce_min(tf.where(magnitude > 0, magnitude, magnitude.dtype.max)) / 2
    floor = tf.where(tf.reduce_any(magnitude > 0), floor, tf.cast(SMALLEST, x.dtype))
    return tf.where(magnitude > 0, x, floor)


@keras.saving.register_keras_serializable(package="tfopt")
class FiniteGradient(keras.layers.Layer):
    """A function of `keras.ops` in float, with a finite gradient.

    Args:
        function: its name in `keras.ops`.
        arguments: what it is called with besides the tensor.
        trains: whether gradients are needed; a model for export has none.
    """

    tfopt_traits = OpTraits(kind=Kind.FLOAT, singular=True)

    def __init__(
        self,
        function: str,
        arguments: dict[str, Any] | None = None,
        trains: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.arguments = dict(arguments or {})
        self.trains = trains

    def _computed(self, x: tf.Tensor) -> tf.Tensor:
        return getattr(keras.ops, self.function)(x, **self.arguments)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Return the function of the input."""
        if not self.trains:
            return self._computed(inputs)
        return with_finite_gradient(self._computed, inputs, self.function not in _OF_MANY)

    def compute_output_spec(self, inputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return what the function returns."""
        return keras.KerasTensor(self._computed(inputs).shape, dtype=self.compute_dtype)

    def lower(self) -> keras.Layer:
        """Return the function alone."""
        return FiniteGradient(self.function, self.arguments, trains=False, name=self.name, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        own = {"function": self.function, "arguments": self.arguments, "trains": self.trains}
        return {**super().get_config(), **own}
