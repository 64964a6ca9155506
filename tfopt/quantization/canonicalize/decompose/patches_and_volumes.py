"""Patches of images, and poolings of volumes, as operations on images that have int8 kernels."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import keras
from keras import ops

from tfopt.graph import Parts

Tensor: TypeAlias = keras.KerasTensor


def extract_patches(_: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Decompose `ops.image.extract_patches` into a transposition, or into slices where patches overlap.

    Keras multiplies by an identity matrix, whose products a file of integers would round.
    """
    if operation.data_format != "channels_last" or operation.is_3d or len(x.shape) != 4:
        return None
    size, strides, dilation = (
        (value, value) if isinstance(value, int) else tuple(value)
        for value in (operation.size, operation.strides or operation.size, operation.dilation_rate)
    )
    spans = [(length - 1) * step + 1 for length, step in zip(size, dilation, strict=True)]
    if operation.padding == "same":
        x = _padded(x, spans, strides)
    counts = [
        (side - span) // stride + 1 for side, span, stride in zip(x.shape[1:3], spans, strides, strict=True)
    ]
    if dilation == (1, 1) and strides == size:
        return _tiles(x, size, counts)
    last = [(count - 1) * stride + 1 for count, stride in zip(counts, strides, strict=True)]
    starts = [
        (row * dilation[0], column * dilation[1]) for row in range(size[0]) for column in range(size[1])
    ]
    slices = [
        x[:, row : row + last[0] : strides[0], column : column + last[1] : strides[1]]
        for row, column in starts
    ]
    return ops.concatenate(slices, axis=-1)


def _tiles(x: Tensor, size: tuple[int, ...], counts: list[int]) -> Tensor:
    (height, width), (rows, columns), channels = size, counts, x.shape[-1]
    if (rows * height, columns * width) != x.shape[1:3]:
        x = x[:, : rows * height, : columns * width]
    x = ops.reshape(x, (-1, height, columns, width * channels))
    x = ops.transpose(x, (0, 2, 1, 3))
    return ops.reshape(x, (-1, rows, columns, height * width * channels))


def _padded(x: Tensor, spans: list[int], strides: tuple[int, ...]) -> Tensor:
    missing = [
        max((math.ceil(side / stride) - 1) * stride + span - side, 0)
        for side, span, stride in zip(x.shape[1:3], spans, strides, strict=True)
    ]
    return ops.pad(x, [[0, 0], *([count // 2, count - count // 2] for count in missing), [0, 0]])


def pooling_3d(parts: Parts, layer: Any, x: Tensor) -> Tensor | None:
    """Decompose a pooling of volumes into one of each slice, then one along the depth."""
    averages = isinstance(layer, keras.layers.AveragePooling3D)
    averages_padding = averages and layer.padding != "valid"
    if layer.data_format != "channels_last" or averages_padding or None in x.shape[1:]:
        return None
    pool = keras.layers.AveragePooling2D if averages else keras.layers.MaxPooling2D
    depth, height, width, channels = x.shape[1:]
    shared = {"padding": layer.padding, "dtype": layer.dtype_policy}
    slices = parts("slices", pool, layer.pool_size[1:], strides=layer.strides[1:], **shared)
    x = slices(ops.reshape(x, (-1, height, width, channels)))
    height, width = x.shape[1:3]
    along = parts("depth", pool, (layer.pool_size[0], 1), strides=(layer.strides[0], 1), **shared)
    x = along(ops.reshape(x, (-1, depth, height * width, channels)))
    return ops.reshape(x, (-1, x.shape[1], height, width, channels))


def up_sampling_3d(_: Parts, layer: Any, x: Tensor) -> Tensor | None:
    """Decompose UpSampling3D into repetitions."""
    if layer.data_format != "channels_last":
        return None
    for axis, count in enumerate(layer.size, 1):
        x = ops.repeat(x, count, axis=axis) if count != 1 else x
    return x
