"""Functions of `keras.ops` as the layer that keeps their gradient finite at an argument rounded to 0."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras

from tfopt.quantization.canonicalize.rewrite_context import Place
from tfopt.quantization.layers.finite_gradients import FiniteGradient

Tensor: TypeAlias = keras.KerasTensor


def rewriting(function: str, *names: str) -> Callable[..., Tensor | None]:
    """Return the rewriting of the operation of `keras.ops.function` that has the attributes `names`."""

    def rewrite(place: Place, operation: Any, x: Tensor) -> Tensor | None:
        if not keras.backend.is_float_dtype(x.dtype):
            return None
        arguments = {name: getattr(operation, name) for name in names}
        return place.layer(FiniteGradient, function, arguments, dtype=x.dtype)(x)

    return rewrite


def power(place: Place, x: Tensor, exponent: float) -> Tensor:
    """Return `x ** exponent`, in float."""
    return place.layer(FiniteGradient, "power", {"x2": float(exponent)}, dtype=x.dtype)(x)
