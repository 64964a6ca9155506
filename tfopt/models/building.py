"""What the families of models have in common: their inputs, sizes and layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from tfopt import _validation
from tfopt.errors import InvalidArgumentError

layers = keras.layers

SMALLEST = 4
"""Feature maps are halved down to this size and no further, so that small images have the same stages."""

MOMENTUM = 0.9
"""Of the moving statistics of batch normalization. Keras's own, 0.99, follows the weights too slowly in
short trainings: a model may be right on its training samples and no better than a guess on others.
"""


def image_input(owner: str, input_shape: Sequence[int], resolution: int | None) -> tuple[Any, Any]:
    """Return the input of a model, and that in the resolution at which it is looked at.

    Args:
        owner: what an error message calls the model.
        input_shape: height, width and channels.
        resolution: the height and width of what the first convolution sees; None for those of the input.

    Raises:
        InvalidArgumentError: the shape is none of an image, or the resolution is out of range.
    """
    shape = tuple(input_shape) if isinstance(input_shape, list | tuple) else ()
    if len(shape) != 3 or not all(_validation.is_whole(size) and size > 0 for size in shape):
        raise InvalidArgumentError(
            f"{owner}: expected input_shape to be (height, width, channels) in whole numbers, got "
            f"{input_shape!r}. Images of other sizes are resized before: give the size that they have then."
        )
    inputs = keras.Input(shape, name="image")
    if resolution is None or shape[:2] == (resolution, resolution):
        return inputs, inputs
    size = _validation.whole(owner, "resolution", resolution, at_least=SMALLEST)
    return inputs, layers.Resizing(size, size, name="resize")(inputs)


def classifier(owner: str, inputs: Any, x: Any, num_classes: int, dropout: float, name: str) -> keras.Model:
    """Return the model that makes logits of the means of the channels of `x`."""
    count = _validation.whole(owner, "num_classes", num_classes, at_least=1)
    rate = _validation.number(owner, "dropout", dropout, at_least=0, below=1)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    if rate:
        x = layers.Dropout(rate, name="dropout")(x)
    return keras.Model(inputs, layers.Dense(count, name="head")(x), name=name)


def stride_of(x: Any, stride: int) -> int:
    """Return the stride of a layer over `x`: 1 where the result would be smaller than `SMALLEST`."""
    return stride if min(x.shape[1:3]) >= SMALLEST * stride else 1


def convolution(
    x: Any, filters: int, size: int, name: str, *, stride: int = 1, activation: str | None = None
) -> Any:
    """Return a convolution of `x`, normalized, with an activation or without."""
    x = layers.Conv2D(filters, size, stride, "same", use_bias=False, name=name)(x)
    return _normalized(x, name, activation)


def depthwise(x: Any, size: int, name: str, *, stride: int = 1, activation: str | None = None) -> Any:
    """Return a depthwise convolution of `x`, normalized, with an activation or without."""
    x = layers.DepthwiseConv2D(size, stride, "same", use_bias=False, name=name)(x)
    return _normalized(x, name, activation)


def _normalized(x: Any, name: str, activation: str | None) -> Any:
    x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x)
    return layers.Activation(activation, name=f"{name}_{activation}")(x) if activation else x


def multiple_of_8(width: float) -> int:
    """Return the multiple of 8 that is next to `width`, not below 8 nor 10 % below `width`.

    Widths of this kind use the vector units of processors well (Sandler et al., 2018, as their code has it).
    """
    rounded = max(8, int(width + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * width else rounded
