"""Operations of `keras.ops` as simpler ones that have int8 kernels."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from tfopt.graph import Decomposition, Parts, as_array
from tfopt.quantization.layers.index_bounds import RowOfIndex

Tensor: TypeAlias = keras.KerasTensor


def flip(_: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Open a reversal along axes as choices of indices."""
    axes = _listed(operation.axis)
    if axes is None or any(x.shape[axis] is None for axis in axes):
        return None
    for axis in axes:
        x = ops.take(x, list(range(x.shape[axis]))[::-1], axis=axis)
    return x


def roll(_: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Open a rotation along axes as choices of indices."""
    axes, shifts = _listed(operation.axis), _listed(operation.shift)
    if axes is None or shifts is None or any(x.shape[axis] is None for axis in axes):
        return None
    for axis, shift in zip(axes, shifts * len(axes) if len(shifts) == 1 else shifts, strict=True):
        size = x.shape[axis]
        x = ops.take(x, [(index - shift) % size for index in range(size)], axis=axis)
    return x


def _listed(value: Any) -> list[int] | None:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return values if all(isinstance(each, int) for each in values) else None


def pad(_: Parts, operation: Any, x: Tensor, constant_values: Any = None) -> Tensor | None:  # noqa: ARG001
    """Open a padding with the tensor's own values as choices of indices."""
    widths = list(operation.pad_width)
    widths = widths * len(x.shape) if len(widths) == 1 else widths
    if operation.mode not in ("reflect", "symmetric"):
        return None
    for axis, (before, after) in enumerate(widths):
        if not before and not after:
            continue
        if x.shape[axis] is None:
            return None
        indices = np.pad(np.arange(x.shape[axis]), (before, after), mode=operation.mode)
        x = ops.take(x, indices.tolist(), axis=axis)
    return x


def one_hot(parts: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Open `ops.one_hot` as an embedding in unit vectors: its operator knows no integers of a scale."""
    if operation.axis not in range(-1, len(x.shape) + 1) or getattr(operation, "sparse", False):
        return None
    found = _unit_vectors(parts, x, operation.num_classes, operation.dtype)
    return found if operation.axis in (-1, len(x.shape)) else ops.moveaxis(found, -1, operation.axis)


def multi_hot(parts: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Open `ops.multi_hot` as the largest of unit vectors."""
    if operation.axis != -1 or getattr(operation, "sparse", False) or len(x.shape) < 2:
        return None
    return ops.max(_unit_vectors(parts, x, operation.num_classes, operation.dtype), axis=-2)


def category_encoding(parts: Parts, layer: Any, x: Tensor, count_weights: Any = None) -> Tensor | None:
    """Open CategoryEncoding as an embedding in the unit vectors."""
    if count_weights is not None or layer.sparse:
        return None
    if layer.output_mode == "one_hot":
        x = ops.squeeze(x, -1) if x.shape[-1] == 1 else x
        return _unit_vectors(parts, x, layer.num_tokens, layer.compute_dtype)
    found = _unit_vectors(parts, x, layer.num_tokens, layer.compute_dtype)
    merged = ops.max if layer.output_mode == "multi_hot" else ops.sum
    return merged(found, axis=-2) if len(x.shape) > 1 else found


def _unit_vectors(parts: Parts, x: Tensor, count: int, dtype: Any) -> Tensor:
    """Return a unit vector for each index below `count`, and zeros for what is no such index."""
    rows = np.pad(np.eye(count, dtype="float32"), ((1, 1), (0, 0)))
    table = parts(
        "table", keras.layers.Embedding, count + 2, count, weights=[rows], trainable=False, dtype=dtype
    )
    return table(parts("row", RowOfIndex, count)(x))


def glu(_: Parts, operation: Any, x: Tensor) -> Tensor:
    """Open a gated linear unit (Dauphin et al. 2016, arXiv 1612.08083)."""
    one, gate = ops.split(x, 2, axis=operation.axis)
    return one * ops.sigmoid(gate)


def hard_tanh(_: Parts, operation: Any, x: Tensor) -> Tensor:  # noqa: ARG001 (an opening's signature)
    """Open `hard_tanh` as a clip to [-1, 1]."""
    return ops.clip(x, -1.0, 1.0)


def select(_: Parts, operation: Any, conditions: list, choices: list, default: Any = 0) -> Tensor:  # noqa: ARG001
    """Open `ops.select` as choices between two, the first condition outermost."""
    y = default
    for condition, choice in list(zip(conditions, choices, strict=True))[::-1]:
        y = ops.where(condition, choice, y)
    return y


def fmax(_: Parts, operation: Any, one: Any, other: Any) -> Tensor:  # noqa: ARG001 (an opening's signature)
    """Open `ops.fmax` as the maximum, which it is where there is no NaN."""
    return ops.maximum(one, other)


def fmin(_: Parts, operation: Any, one: Any, other: Any) -> Tensor:  # noqa: ARG001 (an opening's signature)
    """Open `ops.fmin` as the minimum, which it is where there is no NaN."""
    return ops.minimum(one, other)


def adaptive_pooling(pool: type[keras.layers.Layer]) -> Decomposition:
    """Return the opening of pooling to a given size, where the windows do not overlap."""

    def opened(parts: Parts, layer: Any, x: Tensor) -> Tensor | None:
        sizes = x.shape[1:-1]
        fits = all(size and size % count == 0 for size, count in zip(sizes, layer.output_size, strict=True))
        if layer.data_format != "channels_last" or not fits:
            return None
        window = tuple(size // count for size, count in zip(sizes, layer.output_size, strict=True))
        return parts("pool", pool, window if len(window) > 1 else window[0], dtype=layer.dtype_policy)(x)

    return opened


def moments(_: Parts, operation: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Open `ops.moments` as a mean and a variance."""
    return tuple(f(x, operation.axes, keepdims=operation.keepdims) for f in (ops.mean, ops.var))


def average(_: Parts, operation: Any, x: Tensor, weights: Any = None) -> Tensor | None:
    """Open `ops.average` as a mean, or as a product with weights that are an array along one axis."""
    if isinstance(operation, keras.layers.Layer):
        return None
    if weights is None:
        return ops.mean(x, axis=operation.axis)
    if isinstance(weights, keras.KerasTensor) or np.ndim(weights) != 1 or operation.axis is None:
        return None
    shares = as_array(weights) / np.sum(as_array(weights))
    return ops.tensordot(x, shares.astype(x.dtype)[:, None], axes=[[operation.axis], [0]])[..., 0]


def rgb_to_grayscale(_: Parts, operation: Any, images: Tensor) -> Tensor | None:
    """Open the conversion to grayscale as its weighted sum of channels (ITU-R BT.601, as Keras rounds it)."""
    if operation.data_format == "channels_first" or images.shape[-1] != 3:
        return None
    weights = np.array([[0.2989], [0.5870], [0.1140]], images.dtype)
    return ops.matmul(images, weights)
