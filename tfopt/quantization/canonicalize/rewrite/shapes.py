"""Shapes that speak of the batch, as layers that do not: its size is known when the file is written."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt.graph import Constant, OverBatch
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext

Tensor: TypeAlias = keras.KerasTensor


def reshape(context: RewriteContext, operation: Any, x: Tensor) -> Tensor | None:
    """Rewrite a reshaping that keeps the batch as the layer that does not name it."""
    shape = getattr(operation, "newshape", None)
    if shape is None or x.shape[0] is not None or not shape:
        return None
    first, *sizes = (-1 if size is None else size for size in shape)
    known = math.prod(size for size in x.shape[1:]) if None not in x.shape[1:] else None
    if first == -1 and known and (sizes.count(-1) == 1 or math.prod(sizes) == known) and sizes:
        return context.layer(keras.layers.Reshape, sizes, dtype=x.dtype)(x)
    return None


def same(_: RewriteContext, operation: Any, x: Tensor) -> Tensor | None:
    """Rewrite what returns its input."""
    return x if getattr(operation, "dtype", None) in (None, x.dtype) else None


def cast(context: RewriteContext, operation: Any, x: Tensor) -> Tensor | None:
    """Rewrite a cast between float types: in a file they are one."""
    if not keras.backend.is_float_dtype(x.dtype) or not keras.backend.is_float_dtype(operation.dtype):
        return None
    return x if x.dtype == operation.dtype else context.layer(keras.layers.Identity, dtype=operation.dtype)(x)


def take(context: RewriteContext, operation: Any, x: Any, indices: Any) -> Tensor | None:
    """Rewrite a look-up in an array, which must have a range."""
    if isinstance(x, keras.KerasTensor) or np.asarray(x).dtype.kind != "f":
        return None
    table = context.part("table").layer(Constant.of, np.asarray(x))(context.reference)
    return keras.ops.take(table, indices, axis=operation.axis)


def squeeze(_: RewriteContext, operation: Any, x: Tensor) -> Tensor | None:
    """Rewrite the removal of all axes of size 1 as one that names them, for a file's batch is one of 1."""
    axes = tuple(axis for axis, size in enumerate(x.shape) if size == 1)
    return keras.ops.squeeze(x, axis=axes) if operation.axis is None and axes else None


def broadcast_to(context: RewriteContext, operation: Any, x: Tensor) -> Tensor | None:
    """Rewrite the repetition of one sample for each of the batch, and along axes of size 1."""
    first, *sizes = (None if size == -1 else size for size in operation.shape)
    if first is not None or None in sizes:
        return None
    while len(x.shape) <= len(sizes):
        x = keras.ops.expand_dims(x, 0)
    if list(x.shape[1:]) != sizes:
        counts = [1 if old == new else new for old, new in zip(x.shape[1:], sizes, strict=True)]
        x = keras.ops.tile(x, [1, *counts])
    return context.layer(OverBatch, dtype=x.dtype)([x, context.reference]) if x.shape[0] == 1 else x


def zeros_like(context: RewriteContext, operation: Any, x: Tensor, **_: Any) -> Tensor | None:
    """Rewrite `ops.zeros_like` of a tensor whose batch alone is unknown."""
    return _filled(context, operation, x, 0.0)


def ones_like(context: RewriteContext, operation: Any, x: Tensor, **_: Any) -> Tensor | None:
    """Rewrite `ops.ones_like` of a tensor whose batch alone is unknown."""
    return _filled(context, operation, x, 1.0)


def _filled(context: RewriteContext, operation: Any, x: Tensor, value: float) -> Tensor | None:
    if None in x.shape[1:] or getattr(operation, "dtype", None) not in (None, x.dtype):
        return None
    array = np.full((1, *x.shape[1:]), value, x.dtype)
    constant = context.part("value").layer(Constant.of, array)(context.reference)
    return context.layer(OverBatch, dtype=x.dtype)([constant, x])


def tile(context: RewriteContext, operation: Any, x: Tensor) -> Tensor | None:
    """Rewrite the repetition of one sample for each of the batch."""
    repeats = operation.repeats
    over_batch = len(repeats) == len(x.shape) and repeats[0] is None and x.shape[0] == 1
    same = over_batch and all(count == 1 for count in repeats[1:])
    return context.layer(OverBatch, dtype=x.dtype)([x, context.reference]) if same else None
