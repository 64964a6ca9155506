"""What is code: the `call` of a layer, and activations that are any function or a layer of the user's own."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.graph import Parts, decompose_call, traced

run = decompose_call
"""Decompose a layer into what its `call` does."""


def has_code_as_activation(operation: Any) -> bool:
    """Return whether a layer's activation is none of Keras's, which are known by their names."""
    function = getattr(operation, "activation", None)
    if not isinstance(operation, _WITH_ACTIVATION) or function is None:
        return False
    if isinstance(function, keras.Layer):
        alone = isinstance(operation, keras.layers.Activation)
        return alone or not type(function).__module__.startswith("keras.")
    name = getattr(function, "__name__", None)
    # By identity: a function of the same name may do something else, as ops.gelu does.
    return getattr(keras.activations, name or "", None) is not function


_WITH_ACTIVATION = (
    keras.layers.Activation,
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
)


def activation(parts: Parts, layer: Any, x: keras.KerasTensor) -> Any:
    """Decompose a layer whose activation is code into the bare layer and that code.

    Raises:
        NotSymbolic: the code needs numbers.
    """
    function = layer.activation
    if not isinstance(layer, keras.layers.Activation):
        inner = {id(weight) for weight in getattr(function, "weights", ())}
        weights = [weight for weight in layer.weights if id(weight) not in inner]
        x = parts("linear", _bare, layer, weights=weights)(x)
    return traced(layer, x, parts.constants, lambda x, _: function(x))


def _bare(layer: Any, name: str) -> keras.Layer:
    """Return a layer like `layer` without its activation."""
    function, layer.activation = layer.activation, keras.activations.linear
    try:
        config = layer.get_config()
    finally:
        layer.activation = function
    return type(layer).from_config(config | {"name": name})
