"""A tensor that is part of a model, as a layer: a variable of a decomposed layer, an array in a call."""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph.layers.tie import Tie


def as_array(value: Any) -> np.ndarray:
    """Return the values of a variable, tensor or array."""
    return value.numpy() if hasattr(value, "numpy") else np.asarray(value)


@keras.saving.register_keras_serializable(package="tfopt")
class Constant(keras.layers.Layer):
    """Returns its weight, whatever it is called with.

    A functional model can hold values only as weights of layers, and a layer has a place in it only after
    an input.

    Args:
        shape: of the weight.
        regularizer, constraint: of the weight.
        trainable: whether training moves it.
        tied_to: the layer whose variable is the weight, None where it has its own.

    Attributes:
        only_multiplied: whether code that was traced reads it for products with it alone.
        masks: for each reading of it in code, the array of zeros and ones that multiplies it, of its shape;
            None where code does something else.
    """

    tfopt_constraints: ClassVar[dict[str, str]] = {"value": "constraint"}
    """The attribute with a variable -> the one with its constraint."""

    def __init__(
        self,
        shape: tuple[int, ...],
        regularizer: Any = None,
        constraint: Any = None,
        tied_to: Tie | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shape = tuple(shape)
        self.regularizer = keras.regularizers.get(regularizer)
        self.constraint = keras.constraints.get(constraint)
        self.supports_masking = True  # lest Keras warns of the mask of what it is called with
        self.only_multiplied = True
        self.masks: list[np.ndarray | None] = []
        self.tied_to = tied_to

    @classmethod
    def of(cls, value: Any, name: str) -> Constant:
        """Return the layer that holds a variable's value, trainable as that is, or an array's."""
        layer = cls._like(value, name)
        layer.build(None)
        layer.set_weights([as_array(value)])
        return layer

    @classmethod
    def holding(cls, variable: keras.Variable, name: str) -> Constant:
        """Return the layer whose weight is `variable` itself."""
        layer = cls._like(variable, name)
        layer.value = variable
        layer.built = True
        return layer

    @classmethod
    def _like(cls, value: Any, name: str) -> Constant:
        variable = isinstance(value, keras.Variable)
        return cls(
            tuple(value.shape),
            value.regularizer if variable else None,
            value.constraint if variable else None,
            trainable=isinstance(value, (keras.Variable, tf.Variable)) and value.trainable,
            dtype=keras.backend.standardize_dtype(value.dtype),
            name=name,
        )

    @property
    def mask(self) -> np.ndarray | None:
        """The mask under which all code reads the weight, None where it has none."""
        first = self.masks[0] if self.masks else None
        alike = first is not None and all(
            each is not None and np.array_equal(each, first) for each in self.masks
        )
        return first if alike else None

    def build(self, input_shape: Any) -> None:  # noqa: ARG002 (Keras's signature)
        """Create the weight, or take the one of another layer."""
        if self.tied_to is not None:
            self.value = self.tied_to.variable
            return
        self.value = self.add_weight(
            name="value",
            shape=self.shape,
            initializer="zeros",
            dtype=self.variable_dtype,
            regularizer=self.regularizer,
            constraint=self.constraint,
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:  # noqa: ARG002 (says only where the layer stands)
        """Return the weight."""
        # Keras returns the variable where that has the dtype, and a custom gradient takes tensors alone.
        return tf.convert_to_tensor(keras.ops.convert_to_tensor(self.value))

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:
        """Return no mask: that of the input is no concern of the weight."""

    def compute_output_spec(self, inputs: Any) -> keras.KerasTensor:  # noqa: ARG002 (Keras's signature)
        """Return the weight's shape and dtype."""
        return keras.KerasTensor(self.shape, dtype=self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {
            **super().get_config(),
            "shape": list(self.shape),
            "regularizer": keras.regularizers.serialize(self.regularizer),
            "constraint": keras.constraints.serialize(self.constraint),
            "tied_to": self.tied_to and self.tied_to.get_config(),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constant:
        """Return the layer that `get_config` described."""
        return cls(**{**config, "tied_to": Tie.from_config(config.get("tied_to"))})
