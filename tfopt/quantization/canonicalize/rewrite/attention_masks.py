"""Masks of attention written by hand: sums with -1e9, and choices between a score and -1e9.

A mask may be added to a part of the scores first, such as a bias of the position, or before they are divided
by a temperature. It moves after what follows: masked scores are a fixed distance below the smallest score,
and in a sum the smallest of a part says nothing.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt.graph import Constant, Node, producer
from tfopt.quantization.canonicalize.rewrite import arithmetic
from tfopt.quantization.canonicalize.rewrite.arithmetic import of_rank, scaled
from tfopt.quantization.canonicalize.rewrite.softmax import DOWN, MaskedScores, masked, pushed_down
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.layers.scaling import Scaling

Tensor: TypeAlias = keras.KerasTensor

MINUS_INFINITY = -1e3
"""A constant below it as a score, or added to one, stands for a mask."""

_SHAPING = {"ExpandDims", "GetItem", "Reshape", "Squeeze", "Transpose", "Permute", "BroadcastTo", "Repeat"}
"""What may stand between the product with -1e9 and the sum."""


def add(context: RewriteContext, operation: Any, one: Any, other: Any = None) -> Tensor | None:
    """Rewrite a sum, `scores + (1 - mask) * -1e9` as masked scores."""
    pair = one if other is None else (one, other)
    if len(pair) == 2:
        for scores, bias in (pair, pair[::-1]):
            found = _masked_by_sum(context, scores, bias, 1.0)
            if found is not None:
                return found
        for scores, term in (pair, pair[::-1]):
            masked_ = _masked(scores)
            if masked_ is not None:
                inner, bias = masked_
                part = context.part("sum")
                return pushed_down(context, _sum(part, operation, inner, term), bias)
    return arithmetic.add(context, operation, one, other)


def subtract(context: RewriteContext, operation: Any, one: Any, other: Any = None) -> Tensor | None:
    """Rewrite a difference, `scores - (1 - mask) * 1e9` as masked scores."""
    pair = one if other is None else (one, other)
    found = _masked_by_sum(context, pair[0], pair[1], -1.0)
    return arithmetic.subtract(context, operation, one, other) if found is None else found


def multiply(context: RewriteContext, operation: Any, one: Any, other: Any = None) -> Tensor | None:
    """Rewrite a product; one of masked scores and a number above zero as masked scores."""
    for scores, factor in ((one, other), (other, one)):
        found = _masked(scores) if _is_positive(factor) else None
        if found is not None:
            return pushed_down(context, scaled(context.part("product"), found[0], factor, 0.0), found[1])
    return arithmetic.multiply(context, operation, one, other)


def divide(context: RewriteContext, operation: Any, one: Any, other: Any) -> Tensor | None:
    """Rewrite a quotient; one of masked scores and a number above zero as masked scores."""
    found = _masked(one) if _is_positive(other) else None
    if found is not None:
        quotient = scaled(context.part("quotient"), found[0], 1.0 / float(other), 0.0)
        return pushed_down(context, quotient, found[1])
    return arithmetic.divide(context, operation, one, other)


def where(context: RewriteContext, _: Any, mask: Any, x: Any, other: Any) -> Tensor | None:
    """Rewrite `where(mask, scores, -1e9)`, its reverse, and `where(mask, scores - 1e9, scores)`."""
    if _is_minus_infinity(other) and _fits(mask, x):
        return masked(context, x, mask)
    if _is_minus_infinity(x) and _fits(mask, other):
        return masked(context, other, _reversed(mask))
    maker = producer(x) if isinstance(x, keras.KerasTensor) else None
    lowered = maker is not None and _is_moved_down(maker.operation) and maker.inputs[0] is other
    return masked(context, other, _reversed(mask)) if lowered and _fits(mask, other) else None


def _masked(scores: Any) -> tuple[Tensor, Tensor] | None:
    """Return the scores and the bias that pushes some of them down; None where nothing does."""
    node = producer(scores) if isinstance(scores, keras.KerasTensor) else None
    if node is None or not isinstance(node.operation, MaskedScores):
        return None
    inner, bias = node.inputs
    return inner, bias


def _sum(context: RewriteContext, operation: Any, one: Tensor, other: Any) -> Tensor:
    found = add(context, operation, one, other)
    if found is not None:
        return found
    if not isinstance(other, keras.KerasTensor):
        other = context.part("constant").layer(Constant.of, np.asarray(other, one.dtype))(context.reference)
    one, other = of_rank(one, len(other.shape)), of_rank(other, len(one.shape))
    return context.layer(keras.layers.Add, dtype=one.dtype)([one, other])


def _is_positive(value: Any) -> bool:
    return (
        isinstance(value, (int, float, np.ndarray, np.generic)) and np.ndim(value) == 0 and float(value) > 0
    )


def _masked_by_sum(context: RewriteContext, scores: Any, bias: Any, sign: float) -> Tensor | None:
    if not isinstance(scores, keras.KerasTensor) or not keras.backend.is_float_dtype(scores.dtype):
        return None
    if not isinstance(bias, keras.KerasTensor):
        array = sign * np.asarray(bias, "float32")
        if array.ndim == 0 or array.min() > MINUS_INFINITY or not _fits(array, scores):
            return None
        lowest = context.part("bias").layer(Constant.of, np.maximum(array, DOWN).astype(scores.dtype))
        return pushed_down(context, scores, lowest(context.reference))
    kept = _kept(context, bias, sign) if _fits(bias, scores) else None
    return None if kept is None else masked(context, scores, kept)


def _kept(context: RewriteContext, bias: Tensor, sign: float) -> Tensor | None:
    """Return 1 where `bias` is 0, and 0 where it stands for minus infinity; None where it is no mask."""
    shaping: list[tuple[Node, Tensor]] = []
    maker = producer(bias)
    while maker is not None and type(maker.operation).__name__ in _SHAPING and len(maker.inputs) == 1:
        shaping.append((maker, maker.inputs[0]))
        maker = producer(maker.inputs[0])
    if (
        maker is None
        or not isinstance(maker.operation, Scaling)
        or not isinstance(maker.operation.scale, float)
    ):
        return None
    factor = sign * maker.operation.scale
    if maker.operation.offset != 0.0 or abs(factor) < -MINUS_INFINITY:
        return None
    # -1e9 multiplies a number that is 1 where scores are masked, 1e9 before one that is -1 there.
    kept = scaled(context.part("kept"), maker.inputs[0], np.sign(factor), 1.0)
    for node, old in reversed(shaping):
        values = {id(old): kept}
        args, kwargs = keras.tree.map_structure(
            lambda value, values=values: values.get(id(value), value), (node.args, node.kwargs)
        )
        kept = node.operation(*args, **kwargs)
    return kept


def _is_minus_infinity(value: Any) -> bool:
    return not isinstance(value, keras.KerasTensor) and np.ndim(value) == 0 and float(value) <= MINUS_INFINITY


def _is_moved_down(operation: Any) -> bool:
    return (
        isinstance(operation, Scaling)
        and operation.scale == 1.0
        and isinstance(operation.offset, float)
        and operation.offset <= MINUS_INFINITY
    )


def _fits(mask: Any, scores: Any) -> bool:
    """Return whether a mask and scores can be added, and the scores are floats."""
    if not isinstance(scores, keras.KerasTensor) or not keras.backend.is_float_dtype(scores.dtype):
        return False
    shape = tuple(mask.shape) if isinstance(mask, keras.KerasTensor) else np.shape(mask)
    pairs = zip(reversed(shape), reversed(tuple(scores.shape)), strict=False)
    return all(1 in pair or pair[0] == pair[1] for pair in pairs)


def _reversed(mask: Any) -> Any:
    return keras.ops.logical_not(mask) if isinstance(mask, keras.KerasTensor) else ~np.asarray(mask, bool)
