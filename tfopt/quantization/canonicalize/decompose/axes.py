"""Operations of `keras.ops` along axes as slices, products and sums, which have int8 kernels."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from tfopt.graph import Parts

Tensor: TypeAlias = keras.KerasTensor


def log_add_exp(_: Parts, operation: Any, one: Any, other: Any) -> Tensor:  # noqa: ARG001
    """Decompose `ops.logaddexp` in a form that does not overflow."""
    return ops.maximum(one, other) + ops.softplus(-ops.abs(one - other))


def difference(_: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Decompose `ops.diff` into differences of slices."""
    axis = operation.axis % len(x.shape)
    if x.shape[axis] is None or axis == 0:
        return None
    before = (slice(None),) * axis
    for _round in range(operation.n):
        x = x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]
    return x


def cross(_: Parts, operation: Any, one: Any, other: Any) -> Tensor | None:
    """Decompose `ops.cross` of vectors of three elements along the last axis."""
    shapes = [tuple(x.shape) for x in (one, other)]
    last = [
        axis in (-1, len(shape) - 1)
        for axis, shape in zip((operation.axisa, operation.axisb), shapes, strict=True)
    ]
    if not all(last) or operation.axisc not in (-1, max(map(len, shapes)) - 1):
        return None
    if any(shape[-1] != 3 for shape in shapes):
        return None
    next_, third = [1, 2, 0], [2, 0, 1]

    def chosen(x: Any, order: list[int]) -> Any:
        return ops.take(x, order, axis=-1) if isinstance(x, keras.KerasTensor) else np.asarray(x)[..., order]

    return chosen(one, next_) * chosen(other, third) - chosen(one, third) * chosen(other, next_)


def diagonal(_: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Decompose `ops.diagonal` of square matrices into sums of products with the unit matrix."""
    moved = ops.moveaxis(x, (operation.axis1, operation.axis2), (-2, -1))
    size = moved.shape[-1]
    if operation.offset != 0 or size is None or moved.shape[-2] != size:
        return None
    return ops.sum(moved * np.eye(size, dtype=x.dtype), axis=-1)


def trace(parts: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Decompose `ops.trace` into the sum of a diagonal."""
    found = diagonal(parts, operation, x)
    return None if found is None else ops.sum(found, axis=-1)


def quarter_turns(_: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Decompose `ops.rot90` into transpositions and reversals."""
    one, other = (axis % len(x.shape) for axis in operation.axes)
    if 0 in (one, other):
        return None
    order = list(range(len(x.shape)))
    order[one], order[other] = other, one
    turns = operation.k % 4
    if turns == 2:
        return ops.flip(x, axis=(one, other))
    if turns == 1:
        return ops.transpose(ops.flip(x, axis=other), order)
    return ops.flip(ops.transpose(x, order), axis=other) if turns == 3 else x


def count_nonzero(_: Parts, operation: Any, x: Tensor) -> Tensor:
    """Decompose `ops.count_nonzero` into a sum of integers."""
    return ops.sum(ops.cast(ops.not_equal(x, 0), "int32"), axis=operation.axis)


def softmax(parts: Parts, layer: Any, x: Tensor, mask: Any = None, **_: Any) -> Tensor | None:
    """Decompose a Softmax over several axes, or under a mask over another than the last: into one of it."""
    rank = len(x.shape)
    given = layer.axis if isinstance(layer.axis, (tuple, list)) else (layer.axis,)
    axes = [axis % rank for axis in given]
    if axes == [rank - 1] or (mask is None and len(axes) == 1) or 0 in axes or None in x.shape[1:]:
        return None
    order = [*(axis for axis in range(rank) if axis not in axes), *axes]
    back = [order.index(axis) for axis in range(rank)]

    def at_the_end(value: Any) -> Any:
        if len(value.shape) < rank:
            value = ops.reshape(value, [*(1,) * (rank - len(value.shape)), *value.shape])
        counts = [x.shape[axis] // value.shape[axis] if axis in axes else 1 for axis in range(rank)]
        value = ops.transpose(ops.tile(value, counts) if max(counts) > 1 else value, order)
        kept = value.shape[1 : rank - len(axes)]
        return ops.reshape(value, [-1, *kept, math.prod(value.shape[rank - len(axes) :])])

    over_last = parts("softmax", keras.layers.Softmax, dtype=layer.dtype_policy)
    result = over_last(at_the_end(x), mask=None if mask is None else at_the_end(mask))
    return ops.transpose(ops.reshape(result, [-1, *(x.shape[axis] for axis in order[1:])]), back)
