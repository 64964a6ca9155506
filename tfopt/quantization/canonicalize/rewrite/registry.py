"""The rewrites by the names of operators: each operation in simpler ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfopt.quantization.canonicalize.named_functions import named
from tfopt.quantization.canonicalize.rewrite_context import Place
from tfopt.quantization.operators.registry import OPERATORS

Rewrite = Callable[..., Any]
"""Takes a context, the operation and its arguments; returns its output, or None to keep the operation."""

REWRITES: Mapping[str, Rewrite] = {
    name: named("rewrite", traits.rewrite) for name, traits in OPERATORS.items() if traits.rewrite is not None
}


def rewritten(place: Place, operation: keras.Operation, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Return the output of simpler operations in place of `operation`, or None where it stays.

    Args:
        place: where the new layers go.
        operation: what the model calls.
        args, kwargs: what it is called with, in the new model.
    """
    if not type(operation).__module__.startswith("keras."):
        return None  # a user's subclass may do anything
    rewrite = REWRITES.get(type(operation).__name__)
    if rewrite is None:
        return None
    # Keras notes for every layer in a layer whether it trains; a functional model tells it anew.
    kwargs = {name: value for name, value in kwargs.items() if name != "training"}
    return rewrite(place, operation, *args, **kwargs)
