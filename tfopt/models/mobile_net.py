"""MobileNets: blocks that filter each channel by itself, between convolutions of one pixel."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras

from tfopt import _validation
from tfopt.models import building

_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks and stride of each stage (Sandler et al., 2018, table 2)."""

_HEAD = 1280
"""The channels of the last convolution, which a width below 1 does not make fewer."""


def mobile_net(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    width: float = 0.35,
    depth: float = 1.0,
    resolution: int | None = None,
    block: Literal["inverted", "fused", "separable"] = "inverted",
    kernel_size: int = 3,
    head: int = _HEAD,
    activation: Literal["relu6", "relu", "hard_silu"] = "relu6",
    dropout: float = 0.2,
) -> keras.Model:
    """Return a classifier like MobileNetV2, of another width, depth, resolution or block.

    With the defaults and `width=1.0` it has the layers of MobileNetV2. Small images have the same stages: no
    feature map becomes smaller than 4x4. All weights are drawn anew: set the seed before.

    Batch normalization keeps its moving statistics with a momentum of 0.9, so that few hundred steps suffice.

    Args:
        input_shape: height, width and channels of the images.
        num_classes: how many logits there are, 1 or more.
        width: what the channels of all stages are multiplied by, above 0; rounded to multiples of 8.
        depth: what the number of blocks of each stage is multiplied by, above 0; rounded up.
        resolution: the height and width that images are resized to in the model, 4 or more; None for those
            that they have.
        block: `"inverted"`: expand, filter each channel, project (MobileNetV2). `"fused"`: expand by a
            convolution of `kernel_size`, project (EfficientNetV2): more weights and, where each channel by
            itself is slow, faster. `"separable"`: filter each channel, project, and no expansion
            (MobileNetV1).
        kernel_size: of the filters of a block, an odd number such as 3 or 5.
        head: the channels of the last convolution, 1 or more; 0 for no such convolution, which in small
            models is the most of their weights.
        activation: of all but the projections.
        dropout: before the head, in [0, 1).

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Reference:
        Sandler et al., 2018, MobileNetV2: Inverted Residuals and Linear Bottlenecks (arXiv 1801.04381). Tan
        and Le, 2021, EfficientNetV2 (arXiv 2104.00298): `"fused"`. Howard et al., 2017 (arXiv 1704.04861):
        `"separable"`.
    """
    owner = "mobile_net"
    _validation.number(owner, "width", width, above=0)
    _validation.number(owner, "depth", depth, above=0)
    _validation.choice(owner, "block", block, _BLOCKS)
    _validation.choice(owner, "activation", activation, ("relu6", "relu", "hard_silu"))
    _validation.choice(owner, "kernel_size", kernel_size, (1, 3, 5, 7))
    _validation.whole(owner, "head", head, at_least=0)
    inputs, x = building.image_input(owner, input_shape, resolution)
    stem = building.multiple_of_8(32 * width)
    x = building.convolution(x, stem, 3, "stem", stride=building.stride_of(x, 2), activation=activation)
    for stage, (expansion, channels, blocks, stride) in enumerate(_STAGES, 1):
        filters = building.multiple_of_8(channels * width)
        for number in range(1, math.ceil(blocks * depth) + 1):
            strides = building.stride_of(x, stride) if number == 1 else 1
            name = f"stage{stage}_block{number}"
            y = _BLOCKS[block](x, expansion, filters, kernel_size, strides, activation, name)
            same = y.shape == x.shape and strides == 1
            x = keras.layers.Add(name=f"{name}_add")([x, y]) if same else y
    if head:
        x = building.convolution(x, max(head, round(head * width)), 1, "last", activation=activation)
    return building.classifier(owner, inputs, x, num_classes, dropout, "mobile_net")


def _inverted(
    x: Any, expansion: int, filters: int, size: int, stride: int, activation: str, name: str
) -> Any:
    if expansion > 1:
        x = building.convolution(x, expansion * x.shape[-1], 1, f"{name}_expand", activation=activation)
    x = building.depthwise(x, size, f"{name}_depthwise", stride=stride, activation=activation)
    return building.convolution(x, filters, 1, f"{name}_project")


def _fused(x: Any, expansion: int, filters: int, size: int, stride: int, activation: str, name: str) -> Any:
    if expansion == 1:
        return building.convolution(x, filters, size, f"{name}_conv", stride=stride, activation=activation)
    wide = expansion * x.shape[-1]
    x = building.convolution(x, wide, size, f"{name}_expand", stride=stride, activation=activation)
    return building.convolution(x, filters, 1, f"{name}_project")


def _separable(
    x: Any,
    expansion: int,  # noqa: ARG001 (the signature of a block)
    filters: int,
    size: int,
    stride: int,
    activation: str,
    name: str,
) -> Any:
    x = building.depthwise(x, size, f"{name}_depthwise", stride=stride, activation=activation)
    return building.convolution(x, filters, 1, f"{name}_project", activation=activation)


_BLOCKS: dict[str, Callable[..., Any]] = {"inverted": _inverted, "fused": _fused, "separable": _separable}
