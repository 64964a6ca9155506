"""Functions of `keras.ops` as the layer that keeps their gradient finite at an argument rounded to 0."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras

from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.layers.finite_gradients import FiniteGradient

Tensor: TypeAlias = keras.KerasTensor


_ARGUMENTS = {"Std": ("axis", "keepdims"), "Norm": ("ord", "axis", "keepdims")}
"""The attributes of an operation that its function is called with besides the tensor."""


def function(context: RewriteContext, operation: Any, x: Tensor) -> Tensor | None:
    """Rewrite an operation whose class is called as its function, such as Sqrt."""
    if not keras.backend.is_float_dtype(x.dtype):
        return None
    name = type(operation).__name__
    arguments = {each: getattr(operation, each) for each in _ARGUMENTS.get(name, ())}
    return context.layer(FiniteGradient, name.lower(), arguments, dtype=x.dtype)(x)


def power(context: RewriteContext, x: Tensor, exponent: float) -> Tensor:
    """Return `x ** exponent`, in float."""
    return context.layer(FiniteGradient, "power", {"x2": float(exponent)}, dtype=x.dtype)(x)
