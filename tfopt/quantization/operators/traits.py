"""What quantization knows of an operation: the registry, asked for one call."""

from __future__ import annotations

import math
from typing import Any

import keras

from tfopt.quantization.operators.activations import activation_name
from tfopt.quantization.operators.op_traits import FIXED_RANGES, INT16_RANGE, Kind, OpTraits
from tfopt.quantization.operators.registry import OPERATORS

__all__ = ["FIXED_RANGES", "INT16_RANGE", "Kind", "ceiling", "kind", "traits_of"]

_NOTHING = OpTraits()


def traits_of(operation: Any) -> OpTraits:
    """Return what is known of an operation; nothing of a class that users wrote, which may do anything."""
    own: OpTraits | None = getattr(operation, "tfopt_traits", None)
    if own is not None:
        return own
    if not type(operation).__module__.startswith(("keras.", "tfopt.graph.")):
        return _NOTHING
    return OPERATORS.get(type(operation).__name__, _NOTHING)


def kind(operation: keras.Operation) -> Kind | None:
    """Return the kind of an operation, or None where quantization has no rule for it."""
    if getattr(operation, "data_format", None) == "channels_first":
        return None  # the converter turns it into transpositions
    return traits_of(operation).kind_of(operation)


def ceiling(operation: keras.Operation) -> float | None:
    """Return the largest value that an operation returns, if it is a plain ReLU, else None."""
    if kind(operation) is not Kind.RELU:
        return None
    name = getattr(operation, "activation", None) and activation_name(operation)
    six = getattr(operation, "max_value", None) == 6 or "relu6" in (name, type(operation).__name__.lower())
    return 6.0 if six else math.inf
