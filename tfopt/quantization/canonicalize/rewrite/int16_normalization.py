"""What normalizations of each sample are made of in 16-bit integers.

In `y = x / sqrt(mean(x**2) + epsilon)` a token thirty times larger than the others has squares a thousand
times larger, and 16 bits leave those of the others few steps. So each is scaled first, by a factor that makes
its largest values about 1: `y = f*x / sqrt(mean((f*x)**2) + epsilon * f**2)`, whatever `f` is. That `f` is
rounded does not matter, for it stands in both places.

A shared layer may be called with tensors of several sizes: parts that depend on them have them in their name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras

from tfopt.quantization.canonicalize.rewrite_context import Place
from tfopt.quantization.layers.int16_norm import SMALLEST, InverseRoot, Magnitudes, WeightedSum
from tfopt.quantization.layers.scaling import Scaling

Tensor: TypeAlias = keras.KerasTensor

_LEAST = 1e-3
"""The least epsilon that a factor is found with: a sample of zeros must not have the range of the factors for
itself."""


def centred(place: Place, x: Tensor) -> Tensor:
    """Return `x` minus its mean over the last axis."""
    size = x.shape[-1]
    mean = _part(place, f"mean_{size}", WeightedSum, 1.0 / size)(x)
    return _part(place, "centred", keras.layers.Subtract)([x, mean])


def divided(place: Place, x: Tensor, epsilon: float, weight: float | None = None) -> Tensor:
    """Return `x / sqrt(weight * sum(x**2) + epsilon)` over the last axis, by default of the mean square."""
    least = math.sqrt(max(epsilon, _LEAST))
    size = _part(place, "size", WeightedSum, 0.5, least)(_part(place, "magnitudes", Magnitudes)(x))
    root = _part(place, "size_root", InverseRoot)(size)
    factor = _part(place, "factor", keras.layers.Multiply)([root, root])
    scaled = _part(place, "scaled", keras.layers.Multiply)([x, factor])
    squares = _part(place, "squares", keras.layers.Multiply)([scaled, scaled])
    channels = x.shape[-1]
    total = _part(place, f"total_{channels}", WeightedSum, weight or 1.0 / channels)(squares)
    if epsilon / least**2 > SMALLEST:
        square = _part(place, "factor_square", keras.layers.Multiply)([factor, factor])
        # A sum of tensors that both look like a bias is one to Keras, and a difference is not.
        less = _part(place, "epsilon", Scaling, -epsilon)(square)
        total = _part(place, "sum", keras.layers.Subtract)([total, less])
    root = _part(place, "root", InverseRoot)(total)
    return _part(place, "normalized", keras.layers.Multiply)([scaled, root])


def _part(place: Place, name: str, make: Callable[..., keras.Layer], *args: Any) -> keras.Layer:
    """Return a layer that computes in float32, as Keras's normalizations do under any policy."""
    return place.part(name).layer(make, *args, dtype="float32")


def in_rows(
    place: Place, axes: int | Sequence[int], x: Tensor, body: Callable[[Tensor], Tensor]
) -> Tensor | None:
    """Return what `body` makes of `x` where `axes` are the last, as one; None where that cannot be.

    That is where nothing asks for 16 bits, an axis is the batch, or a size is not known.
    """
    rank = len(x.shape)
    last = sorted(axis % rank for axis in ([axes] if isinstance(axes, int) else axes))
    if not place.wide or last[0] == 0 or None in x.shape[1:]:
        return None
    order = (*(axis for axis in range(1, rank) if axis not in last), *last)
    moved = permuted(place, "axes_last", x, order)
    sizes = moved.shape[1:]
    others = sizes[: rank - 1 - len(last)]
    rows = moved
    if len(last) > 1:
        rows = reshaped(place, "rows", moved, (*others, math.prod(sizes[len(others) :])))
    made = reshaped(place, "shape", body(rows), sizes)
    return permuted(place, "axes_back", made, [order.index(axis) + 1 for axis in range(1, rank)])


def reshaped(place: Place, name: str, x: Tensor, shape: Sequence[int]) -> Tensor:
    """Return `x` with other sizes behind the batch."""
    if tuple(x.shape[1:]) == tuple(shape):
        return x
    part = place.part("_".join(map(str, (name, *shape))))
    return part.layer(keras.layers.Reshape, tuple(shape))(x)


def permuted(place: Place, name: str, x: Tensor, order: Sequence[int]) -> Tensor:
    """Return `x` with its axes in another order, of which 1 is the first behind the batch."""
    if list(order) == sorted(order):
        return x
    return place.part(name).layer(keras.layers.Permute, tuple(order))(x)
