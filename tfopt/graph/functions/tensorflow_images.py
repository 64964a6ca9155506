"""Functions of `tf.image` on batches of images, channels last, in `keras.ops`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from keras import ops


def _crop_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    top, left, height, width = map(int, (offset_height, offset_width, target_height, target_width))
    return image[..., top : top + height, left : left + width, :]


def _pad_to_bounding_box(
    image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any
) -> Any:
    top, left, height, width = map(int, (offset_height, offset_width, target_height, target_width))
    rows, columns = image.shape[-3:-1]
    around = [(top, height - top - rows), (left, width - left - columns), (0, 0)]
    return ops.pad(image, [(0, 0)] * (len(image.shape) - 3) + around)


def _central_crop(image: Any, central_fraction: float) -> Any:
    starts = [int((size - size * central_fraction) / 2) for size in image.shape[-3:-1]]
    sizes = [size - 2 * start for size, start in zip(image.shape[-3:-1], starts, strict=True)]
    return _crop_to_bounding_box(image, *starts, *sizes)


def _per_image_standardization(image: Any) -> Any:
    axes = (-3, -2, -1)
    mean = ops.mean(image, axis=axes, keepdims=True)
    least = 1.0 / math.sqrt(math.prod(image.shape[-3:]))
    return (image - mean) / ops.maximum(ops.std(image, axis=axes, keepdims=True), least)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "image.crop_to_bounding_box": _crop_to_bounding_box,
    "image.pad_to_bounding_box": _pad_to_bounding_box,
    "image.central_crop": _central_crop,
    "image.flip_left_right": lambda image: ops.flip(image, axis=-2),
    "image.flip_up_down": lambda image: ops.flip(image, axis=-3),
    "image.per_image_standardization": _per_image_standardization,
}
"""The name after `tf.` -> the same for symbolic tensors."""
