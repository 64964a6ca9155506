"""The operators of normalizations of each sample in 16-bit integers.

In `y = x / sqrt(mean(x**2) + epsilon)` a token thirty times larger than the others has squares a thousand
times larger, and 16 bits leave those of the others few values. So each is scaled first, by a factor that
brings its largest values to about 1: `y = f*x / sqrt(mean((f*x)**2) + epsilon * f**2)`, whatever `f` is. That
`f` is rounded does not matter, for it is in both terms.

A shared layer may be called with tensors of several sizes: parts that depend on them have them in their name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras

from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.layers.int16_norm import SMALLEST, InverseRoot, Magnitudes, WeightedSum
from tfopt.quantization.layers.scaling import Scaling

Tensor: TypeAlias = keras.KerasTensor

_LEAST = 1e-3
"""The least epsilon that a factor is found with: a sample of zeros must not have the range of the factors for
itself."""


def centred(context: RewriteContext, x: Tensor) -> Tensor:
    """Return `x` minus its mean over the last axis."""
    size = x.shape[-1]
    mean = _part(context, f"mean_{size}", WeightedSum, 1.0 / size)(x)
    return _part(context, "centred", keras.layers.Subtract)([x, mean])


def divided(context: RewriteContext, x: Tensor, epsilon: float, weight: float | None = None) -> Tensor:
    """Return `x / sqrt(weight * sum(x**2) + epsilon)` over the last axis, by default of the mean square."""
    least = math.sqrt(max(epsilon, _LEAST))
    size = _part(context, "size", WeightedSum, 0.5, least)(_part(context, "magnitudes", Magnitudes)(x))
    root = _part(context, "size_root", InverseRoot)(size)
    factor = _part(context, "factor", keras.layers.Multiply)([root, root])
    scaled = _part(context, "scaled", keras.layers.Multiply)([x, factor])
    squares = _part(context, "squares", keras.layers.Multiply)([scaled, scaled])
    channels = x.shape[-1]
    total = _part(context, f"total_{channels}", WeightedSum, weight or 1.0 / channels)(squares)
    if epsilon / least**2 > SMALLEST:
        square = _part(context, "factor_square", keras.layers.Multiply)([factor, factor])
        # A sum of tensors that both look like a bias is one to Keras, and a difference is not.
        less = _part(context, "epsilon", Scaling, -epsilon)(square)
        total = _part(context, "sum", keras.layers.Subtract)([total, less])
    root = _part(context, "root", InverseRoot)(total)
    return _part(context, "normalized", keras.layers.Multiply)([scaled, root])


def _part(context: RewriteContext, name: str, make: Callable[..., keras.Layer], *args: Any) -> keras.Layer:
    """Return a layer that computes in float32, as Keras's normalizations do under any policy."""
    return context.part(name).layer(make, *args, dtype="float32")


def in_rows(
    context: RewriteContext, axes: int | Sequence[int], x: Tensor, body: Callable[[Tensor], Tensor]
) -> Tensor | None:
    """Return what `body` makes of `x` where `axes` are the last, as one; None where that cannot be.

    That is where nothing asks for 16 bits, an axis is the batch, or a size is not known.
    """
    rank = len(x.shape)
    last = sorted(axis % rank for axis in ([axes] if isinstance(axes, int) else axes))
    if not context.int16 or last[0] == 0 or None in x.shape[1:]:
        return None
    order = (*(axis for axis in range(1, rank) if axis not in last), *last)
    moved = permuted(context, "axes_last", x, order)
    sizes = moved.shape[1:]
    others = sizes[: rank - 1 - len(last)]
    rows = moved
    if len(last) > 1:
        rows = reshaped(context, "rows", moved, (*others, math.prod(sizes[len(others) :])))
    result = reshaped(context, "shape", body(rows), sizes)
    return permuted(context, "axes_back", result, [order.index(axis) + 1 for axis in range(1, rank)])


def reshaped(context: RewriteContext, name: str, x: Tensor, shape: Sequence[int]) -> Tensor:
    """Return `x` with other sizes after the batch."""
    if tuple(x.shape[1:]) == tuple(shape):
        return x
    part = context.part("_".join(map(str, (name, *shape))))
    return part.layer(keras.layers.Reshape, tuple(shape))(x)


def permuted(context: RewriteContext, name: str, x: Tensor, order: Sequence[int]) -> Tensor:
    """Return `x` with its axes in another order, of which 1 is the first after the batch."""
    if list(order) == sorted(order):
        return x
    return context.part(name).layer(keras.layers.Permute, tuple(order))(x)
