"""Sums and products of many tensors and of constants, as those of two tensors and as `Scaling`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt.graph import producer
from tfopt.quantization.canonicalize.rewrite import finite_gradients
from tfopt.quantization.canonicalize.rewrite.casts import as_float
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.layers.division import Inverse, Quotient
from tfopt.quantization.layers.scaling import Scaling
from tfopt.quantization.operators.traits import ceiling

Tensor: TypeAlias = keras.KerasTensor


def scaled(context: RewriteContext, x: Tensor, scale: Any, offset: Any, dtype: Any = None) -> Tensor | None:
    """Return `x * scale + offset`, or None where it is an integer or the constants do not go by channels.

    Numbers that do both become two operators, as LiteRT has none that does both without a kernel.
    """
    scale, offset = _by_channel(scale, x), _by_channel(offset, x)
    dtype = keras.dtype_policies.get(dtype or x.dtype)
    if scale is None or offset is None or not keras.backend.is_float_dtype(dtype.compute_dtype):
        return None
    numbers = isinstance(scale, float) and isinstance(offset, float)
    if offset == 0.0 and isinstance(scale, float) and (factors := _hard_swish(x)) is not None:
        one, gate = factors
        return product(context, one, context.part("gate").layer(Scaling, scale, 0.0, dtype=dtype)(gate))
    if numbers and scale != 1.0 and offset != 0.0:
        x = context.part("scale").layer(Scaling, scale, 0.0, dtype=dtype)(x)
        scale = 1.0
    if scale == 1.0 and offset == 0.0 and x.dtype == dtype.compute_dtype:
        return x
    return context.layer(Scaling, scale, offset, dtype=dtype)(x)


def _hard_swish(x: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the factors of `x * relu6(x + 3)`, or None where a tensor is another.

    The converter makes one operator, without a rounding between, of that and a factor after it, but not of
    one where the factor is part of the gate.
    """
    maker = producer(x)
    if maker is None or type(maker.operation).__name__ != "Multiply" or len(maker.inputs) != 2:
        return None
    for one, gate in (maker.inputs, maker.inputs[::-1]):
        relu6 = producer(gate)
        if relu6 is None or ceiling(relu6.operation) != 6.0:
            continue
        moved = producer(relu6.inputs[0])
        if moved is None or not isinstance(moved.operation, Scaling) or moved.inputs[0] is not one:
            continue
        if (moved.operation.scale, moved.operation.offset) == (1.0, 3.0):
            return one, gate
    return None


def _by_channel(constant: Any, x: Tensor) -> float | list[float] | None:
    """Return a constant as a number or as one for each channel; None where it is neither."""
    values = np.asarray(constant, "float32")
    if values.ndim > len(x.shape):  # it changes the rank
        return None
    if values.size == 1:
        return float(values.ravel()[0])
    by_channel = values.size == values.shape[-1] == x.shape[-1]
    return [float(value) for value in values.ravel()] if by_channel else None


def of_rank(x: Tensor, rank: int) -> Tensor:
    """Return `x` with axes of size 1 in front: Keras's layers put them after the first axis."""
    return x if len(x.shape) >= rank else of_rank(keras.ops.expand_dims(x, 0), rank)


def product(context: RewriteContext, one: Tensor, other: Tensor) -> Tensor:
    """Return `one * other`, broadcast as NumPy does."""
    one, other = of_rank(one, len(other.shape)), of_rank(other, len(one.shape))
    return context.layer(keras.layers.Multiply, dtype=one.dtype)([one, other])


def _folded(kind: Callable[..., keras.Layer]) -> Callable[[RewriteContext, list[Tensor]], Tensor]:
    """Return what folds many tensors two by two."""

    def fold(context: RewriteContext, tensors: list[Tensor]) -> Tensor:
        last = len(tensors) - 1
        numbered = enumerate(tensors[1:], 1)
        return functools.reduce(
            lambda total, item: (context if item[0] == last else context.part(str(item[0])))
            .layer(kind, dtype=total.dtype)([total, item[1]]),
            numbered,
            tensors[0],
        )  # fmt: skip

    return fold


_sum, _product = _folded(keras.layers.Add), _folded(keras.layers.Multiply)
_largest, _smallest = _folded(keras.layers.Maximum), _folded(keras.layers.Minimum)


def _constant(one: Any, other: Any) -> tuple[Tensor, Any, bool] | None:
    """Return tensor, constant, and whether the constant comes first; None where both are tensors."""
    if not isinstance(other, keras.KerasTensor):
        return one, other, False
    return (other, one, True) if not isinstance(one, keras.KerasTensor) else None


def add(context: RewriteContext, _: Any, one: Any, other: Any = None) -> Tensor | None:
    """Rewrite a sum of many, or with a constant."""
    if isinstance(one, (list, tuple)):
        return _sum(context, list(one)) if len(one) > 2 else None
    found = _constant(one, other)
    return found and scaled(context, as_float(context, *found[:2]), 1.0, found[1])


def multiply(context: RewriteContext, _: Any, one: Any, other: Any = None) -> Tensor | None:
    """Rewrite a product of many, or with a constant."""
    if isinstance(one, (list, tuple)):
        return _product(context, list(one)) if len(one) > 2 else None
    found = _constant(one, other)
    return found and scaled(context, as_float(context, *found[:2]), found[1], 0.0)


def subtract(context: RewriteContext, _: Any, one: Any, other: Any = None) -> Tensor | None:
    """Rewrite a difference from or of a constant."""
    if isinstance(one, (list, tuple)) or not (found := _constant(one, other)):
        return None
    x, constant, first = found
    x = as_float(context, x, constant)
    if first:
        return scaled(context, x, -1.0, constant)
    return scaled(context, x, 1.0, -np.asarray(constant, "float32"))


def divide(context: RewriteContext, _: Any, one: Any, other: Any) -> Tensor | None:
    """Rewrite a division: by a constant as a factor, by a tensor as one in float."""
    if not isinstance(other, keras.KerasTensor):
        return scaled(context, as_float(context, one), 1.0 / np.asarray(other, "float32"), 0.0)
    other = as_float(context.part("divisor"), other)
    if isinstance(one, keras.KerasTensor):
        return context.layer(Quotient, dtype=other.dtype)([as_float(context, one), other])
    return scaled(context, context.part("inverse").layer(Inverse, dtype=other.dtype)(other), one, 0.0)


def reciprocal(context: RewriteContext, _: Any, x: Tensor) -> Tensor:
    """Rewrite `1 / x`."""
    x = as_float(context, x)
    return context.layer(Inverse, dtype=x.dtype)(x)


def negative(context: RewriteContext, _: Any, x: Tensor) -> Tensor | None:
    """Rewrite `-x`."""
    return scaled(context, x, -1.0, 0.0)


def square(context: RewriteContext, _: Any, x: Tensor) -> Tensor | None:
    """Rewrite `x ** 2`, for which there is no int8 operator, as a product."""
    return product(context, x, x) if keras.backend.is_float_dtype(x.dtype) else None


def power(context: RewriteContext, _: Any, x: Any, exponent: Any) -> Tensor | None:
    """Rewrite powers with a number: `x ** 2` is a product, others are computed in float."""
    if not isinstance(exponent, (int, float)) or not keras.backend.is_float_dtype(x.dtype):
        return None
    known: dict[float, Callable[[], Tensor]] = {
        1: lambda: x,
        2: lambda: product(context, x, x),
        -1: lambda: reciprocal(context, None, x),
    }
    return known.get(exponent, lambda: finite_gradients.power(context, x, exponent))()


def average(context: RewriteContext, operation: Any, tensors: Any, *_: Any, **__: Any) -> Tensor | None:
    """Rewrite the layer Average as a sum and a factor; `ops.average`, of one tensor, it is not."""
    if not isinstance(operation, keras.layers.Average):
        return None
    return scaled(context, _sum(context.part("sum"), list(tensors)), 1.0 / len(tensors), 0.0)


def maximum(context: RewriteContext, _: Any, one: Any, other: Any = None) -> Tensor | None:
    """Rewrite the larger of many; `max(x, c)` is `relu(x - c) + c`, which has a range of its own."""
    if isinstance(one, (list, tuple)):
        return _largest(context, list(one)) if len(one) > 2 else None
    found = _constant(one, other)
    return found and _beyond(context, found[0], found[1], 1.0)


def minimum(context: RewriteContext, _: Any, one: Any, other: Any = None) -> Tensor | None:
    """Rewrite the smaller of many; `min(x, c)` is `c - relu(c - x)`."""
    if isinstance(one, (list, tuple)):
        return _smallest(context, list(one)) if len(one) > 2 else None
    found = _constant(one, other)
    return found and _beyond(context, found[0], found[1], -1.0)


def _beyond(context: RewriteContext, x: Tensor, constant: Any, sign: float) -> Tensor | None:
    limit = np.asarray(constant, "float32")
    moved = scaled(context.part("moved"), x, sign, -sign * limit)
    if moved is None:
        return None
    name = "relu" if sign != 1.0 or limit.any() else None
    rest = (context.part(name) if name else context).layer(keras.layers.ReLU, dtype=x.dtype)(moved)
    return scaled(context, rest, sign, limit)


def scaled_sum(context: RewriteContext, layer: Any, tensors: list[Tensor]) -> Tensor:
    """Rewrite InceptionResNetV2's `x + scale * residual`."""
    x, residual = tensors
    return _sum(context, [x, scaled(context.part("scale"), residual, layer.scale, 0.0)])


def rescaling(context: RewriteContext, layer: Any, x: Tensor) -> Tensor | None:
    """Rewrite the layer Rescaling."""
    return scaled(context, x, layer.scale, layer.offset, layer.dtype_policy)


def normalization(context: RewriteContext, layer: Any, x: Tensor) -> Tensor | None:
    """Rewrite the layer Normalization with the statistics that it has now."""
    mean = np.asarray(layer.mean, "float32")
    deviation = np.sqrt(np.asarray(layer.variance, "float32"))
    deviation = np.maximum(deviation, keras.config.epsilon())
    if layer.invert:
        return scaled(context, x, deviation, mean, layer.dtype_policy)
    return scaled(context, x, 1.0 / deviation, -mean / deviation, layer.dtype_policy)
