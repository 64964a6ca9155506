"""Pooling, padding, cropping and resizing: channels stay apart, space and time change."""

from __future__ import annotations

from typing import Any

from tfopt.channels.rule import Call, Layout, Rule, table
from tfopt.channels.rules.linear import channel_axis


def _windows(call: Call) -> list[Layout]:
    """Follow a layer that changes the axes between the batch and the channels, by its data format."""
    axis = channel_axis(call.operation, len(call.node.inputs[0].shape))
    layout = call.fix(call.inputs[0], "reads windows along their axis", but=[axis])
    return [layout.with_axes(layout.axes)]


def _steps(call: Call) -> list[Layout]:
    """Follow a layer that changes the second axis alone."""
    return [call.fix(call.inputs[0], "changes their axis", but=[0, *range(2, len(call.inputs[0].axes))])]


def _global(call: Call) -> list[Layout]:
    layer: Any = call.operation
    rank = len(call.node.inputs[0].shape)
    axis = channel_axis(layer, rank)
    layout = call.fix(call.inputs[0], "pools over them", but=[0, axis])
    axes = [each for position, each in enumerate(layout.axes) if layer.keepdims or position in (0, axis)]
    return [layout.with_axes(axes)]


POOLING = " ".join(
    f"{kind}Pooling{rank}D"
    for kind in ("Max", "Average", "AdaptiveMax", "AdaptiveAverage")
    for rank in (1, 2, 3)
)
GLOBAL = " ".join(f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3))

LAYERS = table(
    {
        f"{POOLING} ZeroPadding2D ZeroPadding3D Cropping2D Cropping3D UpSampling2D UpSampling3D": Rule(
            _windows
        ),
        "Resizing CenterCrop": Rule(_windows),
        "ZeroPadding1D Cropping1D UpSampling1D": Rule(_steps),
        GLOBAL: Rule(_global),
    }
)

OPERATIONS = table({"MaxPool AveragePool AdaptiveMaxPool AdaptiveAveragePool Resize": Rule(_windows)})
