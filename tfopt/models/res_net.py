"""ResNets: stages of blocks that add to what they are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras

from tfopt import _validation
from tfopt.models import building

_BOTTLENECK = 4
"""How many times wider a bottleneck's output is than its middle."""

_LARGE = 64
"""Images of this height and width or more are halved twice before the first stage."""


def res_net(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    width: int = 16,
    depth: int = 1,
    stages: int = 3,
    resolution: int | None = None,
    block: Literal["basic", "bottleneck", "separable"] = "basic",
    activation: Literal["relu", "relu6", "hard_silu"] = "relu",
    dropout: float = 0.0,
) -> keras.Model:
    """Return a classifier like a ResNet, of another width, depth, resolution or block.

    With the defaults it has the convolutions of MLPerf Tiny's ResNet-8 for CIFAR-10; `depth=3` is ResNet-20,
    and `width=64, depth=2, stages=4` ResNet-18. No feature map becomes smaller than 4x4. All weights are
    drawn anew: set the seed before.

    Batch normalization keeps its moving statistics with a momentum of 0.9, so that few hundred steps suffice.

    Args:
        input_shape: height, width and channels of the images.
        num_classes: how many logits there are, 1 or more.
        width: the channels of the first stage, 1 or more; each stage has twice those before it.
        depth: blocks a stage, 1 or more.
        stages: 1 or more; each but the first halves height and width.
        resolution: the height and width that images are resized to in the model, 4 or more; None for those
            that they have.
        block: `"basic"`: two 3x3 convolutions. `"bottleneck"`: 1x1, 3x3 and 1x1, the last of them four times
            as wide. `"separable"`: two times a 3x3 filter of each channel and a 1x1 convolution, about an
            eighth of the arithmetic.
        activation: of all convolutions, after the sum in the last of a block.
        dropout: before the head, in [0, 1).

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Reference:
        He et al., 2016, Deep Residual Learning for Image Recognition (arXiv 1512.03385).
    """
    owner = "res_net"
    for name, value in (("width", width), ("depth", depth), ("stages", stages)):
        _validation.whole(owner, name, value, at_least=1)
    _validation.choice(owner, "block", block, _BLOCKS)
    _validation.choice(owner, "activation", activation, ("relu", "relu6", "hard_silu"))
    inputs, x = building.image_input(owner, input_shape, resolution)
    if min(x.shape[1:3]) >= _LARGE:
        x = building.convolution(x, width, 7, "stem", stride=2, activation=activation)
        x = keras.layers.MaxPooling2D(3, 2, "same", name="stem_pool")(x)
    else:
        x = building.convolution(x, width, 3, "stem", activation=activation)
    for stage in range(1, stages + 1):
        for number in range(1, depth + 1):
            stride = building.stride_of(x, 2) if stage > 1 and number == 1 else 1
            filters = width * 2 ** (stage - 1)
            x = _residual(x, _BLOCKS[block], filters, stride, activation, f"stage{stage}_block{number}")
    return building.classifier(owner, inputs, x, num_classes, dropout, "res_net")


def _residual(
    x: Any, block: Callable[..., Any], filters: int, stride: int, activation: str, name: str
) -> Any:
    y = block(x, filters, stride, activation, name)
    if y.shape != x.shape:
        x = building.convolution(x, y.shape[-1], 1, f"{name}_shortcut", stride=stride)
    x = keras.layers.Add(name=f"{name}_add")([x, y])
    return keras.layers.Activation(activation, name=f"{name}_{activation}")(x)


def _basic(x: Any, filters: int, stride: int, activation: str, name: str) -> Any:
    x = building.convolution(x, filters, 3, f"{name}_a", stride=stride, activation=activation)
    return building.convolution(x, filters, 3, f"{name}_b")


def _bottleneck(x: Any, filters: int, stride: int, activation: str, name: str) -> Any:
    x = building.convolution(x, filters, 1, f"{name}_a", activation=activation)
    x = building.convolution(x, filters, 3, f"{name}_b", stride=stride, activation=activation)
    return building.convolution(x, _BOTTLENECK * filters, 1, f"{name}_wide")


def _separable(x: Any, filters: int, stride: int, activation: str, name: str) -> Any:
    x = building.depthwise(x, 3, f"{name}_a_depthwise", stride=stride, activation=activation)
    x = building.convolution(x, filters, 1, f"{name}_a", activation=activation)
    x = building.depthwise(x, 3, f"{name}_b_depthwise", activation=activation)
    return building.convolution(x, filters, 1, f"{name}_b")


_BLOCKS: dict[str, Callable[..., Any]] = {
    "basic": _basic,
    "bottleneck": _bottleneck,
    "separable": _separable,
}
