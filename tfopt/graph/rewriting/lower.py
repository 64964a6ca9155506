"""Lowering: from a model for training to the model that is exported.

A layer that exists for training's sake has a method `lower()` that returns the layer to export in its
place: a weight quantizer returns the bare layer, an activation quantizer one with a constant range.
"""

from __future__ import annotations

from typing import Any

import keras

from tfopt.graph import _keras
from tfopt.graph.added_losses import AddedLosses
from tfopt.graph.layers.recurrence import Recurrence
from tfopt.graph.rewriting.rebuild import Copier, replay
from tfopt.graph.walk import Node, layers


def is_quantized(model: keras.Model) -> bool:
    """Return whether `model` is quantization-aware: whether some layer simulates integers."""
    return any(getattr(layer, "tfopt_quantizer", False) for layer in _keras.sublayers(model))


def lower(model: keras.Model, *, share_variables: bool = False) -> keras.Model:
    """Return the inference form of `model`, in float32, with nested models flattened and loops unrolled.

    The inputs and outputs keep their order, structure and names. What the model adds to its loss is left out.

    Args:
        model: functional.
        share_variables: whether it has the variables of `model` itself, for uses that only read them.

    Raises:
        UnsupportedModel: the model is subclassed.
        InvalidArgumentError: an activation quantizer has seen no data yet.
    """
    copies = Copier(share_variables=share_variables, in_float32=True)
    lowered: dict[int, keras.Layer] = {}

    def emit(node: Node, args: tuple, kwargs: dict[str, Any]) -> Any:
        operation = node.operation
        if isinstance(operation, AddedLosses):
            return keras.layers.Identity(name=copies.name(node))(args[0][0])
        if not callable(getattr(operation, "lower", None)):  # in a `fori_loop` of Keras it is a number
            return copies(node)(*args, **kwargs)
        if id(operation) not in lowered:
            lowered[id(operation)] = operation.lower()
        return lowered[id(operation)](*args, **kwargs)

    result = replay(model, emit)
    for _, layer in layers(result):
        if isinstance(layer, Recurrence):
            layer.unroll = True
    return result
