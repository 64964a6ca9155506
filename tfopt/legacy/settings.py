"""What the layers of the two Kerases can be told."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

Omitted = Mapping[str, tuple[Any, ...] | None]
"""Settings that a layer of the other Keras may lack -> the values that mean nothing there; None: any does."""

FUNCTIONS = ("activation", "recurrent_activation")
"""Settings that are activation functions."""

OBJECTS = ("_initializer", "_regularizer", "_constraint")
"""How the names of settings end that are objects with a config of their own."""

PARTS: Mapping[str, Callable[[Any], dict[str, Any]]] = {
    "Bidirectional": lambda layer: {"layer": layer.forward_layer, "backward_layer": layer.backward_layer},
    "RNN": lambda layer: {"cell": layer.cell},
    "StackedRNNCells": lambda layer: {str(n): cell for n, cell in enumerate(layer.cells)},
    "TimeDistributed": lambda layer: {"layer": layer.layer},
}
"""Layers of both that hold others -> these, under the names of the arguments."""

REMAKES = {"Bidirectional"}
"""Layers that make their own copies of the layers that they are given."""


def settings_of(kind: type) -> set[str]:
    """Return the names of the arguments that a class takes, those that it hands to its parents among them."""
    found: set[str] = set()
    for parent in kind.__mro__:
        if "__init__" in vars(parent):
            parameters = inspect.signature(vars(parent)["__init__"]).parameters.values()
            found |= {parameter.name for parameter in parameters}
            if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
                break
    if "dynamic" in found:  # tf_keras.layers.Layer checks what it is given by a list of its own
        found |= {"activity_regularizer", "autocast", "batch_input_shape"}
    return found - {"self", "args", "kwargs"}


def means_nothing(omitted: Omitted, key: str, value: Any) -> bool:
    """Return whether a layer that lacks the setting `key` does what `value` asks for."""
    if key not in omitted:
        return False
    accepted = omitted[key]
    return accepted is None or value in accepted
