"""Operations of `keras.ops` as simpler ones that have int8 kernels."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
from keras import ops

from tfopt.graph import Parts

Tensor: TypeAlias = keras.KerasTensor


def flip(_: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Open a reversal along one axis as a choice of indices."""
    size = _size(x, operation.axis)
    return size and ops.take(x, list(range(size))[::-1], axis=operation.axis)


def roll(_: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Open a rotation along one axis as a choice of indices."""
    size = _size(x, operation.axis)
    if not size or not isinstance(operation.shift, int):
        return None
    return ops.take(x, [(index - operation.shift) % size for index in range(size)], axis=operation.axis)


def _size(x: Tensor, axis: Any) -> int | None:
    return x.shape[axis] if isinstance(axis, int) else None


def glu(_: Parts, operation: Any, x: Tensor) -> Tensor:
    """Open a gated linear unit (Dauphin et al. 2016, arXiv 1612.08083)."""
    one, gate = ops.split(x, 2, axis=operation.axis)
    return one * ops.sigmoid(gate)


def hard_tanh(_: Parts, operation: Any, x: Tensor) -> Tensor:  # noqa: ARG001 (an opening's signature)
    """Open `hard_tanh` as a clip to [-1, 1]."""
    return ops.clip(x, -1.0, 1.0)
