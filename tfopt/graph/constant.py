"""A tensor that is part of a model, as a layer: a variable of an opened layer, an array in a call."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf


def as_array(value: Any) -> np.ndarray:
    """Return the values of a variable, tensor or array."""
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


@keras.saving.register_keras_serializable(package="tfopt")
class Constant(keras.layers.Layer):
    """Returns its weight, whatever it is called with.

    A functional model can hold values only as weights of layers, and a layer has a place in it only behind
    an input.

    Args:
        shape: of the weight.
        trainable: whether training moves it.
        constraint: of the weight.
    """

    tfopt_constraints: ClassVar[dict[str, str]] = {"value": "constraint"}
    """The name of a variable -> the attribute that holds its constraint."""

    def __init__(self, shape: tuple[int, ...], constraint: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.constraint = keras.constraints.get(constraint)

    @classmethod
    def of(cls, value: Any, name: str) -> Constant:
        """Return the layer that holds a variable's value, trainable as that is, or an array's."""
        dtype = keras.backend.standardize_dtype(value.dtype)
        trainable = isinstance(value, keras.Variable) and value.trainable
        layer = cls(tuple(value.shape), trainable=trainable, dtype=dtype, name=name)
        layer.build(None)
        layer.set_weights([as_array(value)])
        return layer

    def build(self, input_shape: Any) -> None:  # noqa: ARG002 (Keras's signature)
        """Create the weight."""
        self.value = self.add_weight(
            name="value",
            shape=self.shape,
            initializer="zeros",
            dtype=self.variable_dtype,
            constraint=self.constraint,
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:  # noqa: ARG002 (says only where the layer stands)
        """Return the weight."""
        return keras.ops.convert_to_tensor(self.value)

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:  # noqa: ARG002 (Keras's signature)
        """Return the weight's shape and dtype."""
        return keras.KerasTensor(self.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "shape": list(self.shape),
            "constraint": keras.constraints.serialize(self.constraint),
        }
