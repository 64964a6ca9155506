"""The decompositions of operators, by their names, and the choice of one for a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfopt.graph import Decomposer, Decomposition, decompose_call
from tfopt.quantization.canonicalize.decompose import code
from tfopt.quantization.canonicalize.named_functions import named
from tfopt.quantization.operators.registry import OPERATORS

DECOMPOSITIONS: Mapping[str, Decomposition] = {
    name: named("decompose", traits.decomposition)
    for name, traits in OPERATORS.items()
    if traits.decomposition is not None
}

_KERAS_HUB = frozenset(name for name, traits in OPERATORS.items() if traits.in_keras_hub)
"""Layers of KerasHub that do the same as Keras's of that name; its others are decomposed like a user's."""

_LOOPING = (keras.layers.RNN, keras.layers.Bidirectional)
"""Layers whose `call` is a loop of the backend, which shows no operations."""


def _computes_otherwise(layer: keras.Layer) -> bool:
    """Return whether a subclass of a layer of Keras changes what it computes."""
    own = [each for each in type(layer).__mro__ if not _of_keras(each)]
    return any(name in vars(each) for each in own for name in _COMPUTE)


_COMPUTE = ("__call__", "call", "inner_loop", "get_initial_state", "compute_mask")


def _of_keras(kind: type) -> bool:
    return kind.__module__.startswith("keras.") or kind is object


def decomposer() -> Decomposer:
    """Return what decomposes the layers of a model on its way to the canonical form."""
    return Decomposer(decomposition_of)


def decomposition_of(operation: Any) -> Decomposition | None:
    """Return the decomposition of an operation: the registry's, or its own `call` where users wrote it."""
    module = type(operation).__module__
    if module.startswith("keras."):
        if code.has_code_as_activation(operation):
            return code.activation
        return DECOMPOSITIONS.get(type(operation).__name__)
    if isinstance(operation, _LOOPING) and not _computes_otherwise(operation):
        return DECOMPOSITIONS.get(next(each.__name__ for each in type(operation).__mro__ if _of_keras(each)))
    if module.startswith("keras_hub.") and type(operation).__name__ in _KERAS_HUB:
        return DECOMPOSITIONS[type(operation).__name__]
    return decompose_call if isinstance(operation, keras.Layer) and not module.startswith("tfopt.") else None
