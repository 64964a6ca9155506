"""Dense layers and convolutions: channels are read along one axis of a kernel, and made along another."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfopt.channels.groups import FIXED
from tfopt.channels.rule import Call, Layout, Rule, Sizes, stays, table
from tfopt.channels.rules.activations import activated
from tfopt.graph import Node


def channel_axis(layer: Any, rank: int) -> int:
    """Return the axis of the channels of a tensor, by the data format of a layer."""
    return 1 if getattr(layer, "data_format", "channels_last") == "channels_first" else rank - 1


def is_plain(layer: Any) -> bool:
    """Return whether the kernel is what the layer multiplies by, neither quantized nor adapted (LoRA)."""
    adapted = getattr(layer, "lora_enabled", False)
    return not adapted and getattr(layer, "quantization_mode", None) is None


def _made(call: Call, layout: Layout, axis: int, units: np.ndarray | None) -> list[Layout]:
    """Return the layout of an output whose channels are `units`, and that has the other axes of an input."""
    axes = list(layout.axes)
    axes[axis] = units
    # Along other axes the bias stays where the input is zero.
    zero = layout.only(axis) or (layout.zero and call.operation.bias is None)
    return [activated(call, Layout(tuple(axes), zero), call.operation.activation)]


def _spatial(call: Call, axis: int) -> Layout:
    """Return the layout of the input, where units stand at no other axis than the channels'."""
    return call.fix(call.inputs[0], "reads windows along their axis", but=[axis])


def _dense(call: Call) -> list[Layout]:
    layer, layout = call.operation, call.inputs[0]
    if not is_plain(layer):
        return stays(call, "has a kernel that is quantized or adapted")
    call.add(layer.kernel, -2, layout.axes[-1])
    units = call.fresh(layer.units)
    call.add(layer.kernel, -1, units, made=True)
    call.add(layer.bias, -1, units, made=True)
    return _made(call, layout, -1, units)


def _convolution(call: Call) -> list[Layout]:
    layer = call.operation
    axis = channel_axis(layer, len(call.node.inputs[0].shape))
    layout = _spatial(call, axis)
    if not is_plain(layer):
        return stays(call, "has a kernel that is quantized or adapted")
    if layer.groups > 1:
        return _grouped(call, layout, axis)
    call.add(layer.kernel, -2, layout.axes[axis])
    units = call.fresh(layer.filters)
    call.add(layer.kernel, -1, units, made=True)
    call.add(layer.bias, -1, units, made=True)
    return _made(call, layout, axis, units)


def _grouped(call: Call, layout: Layout, axis: int) -> list[Layout]:
    """Follow a convolution in groups: one of these with all of its inputs and outputs is a unit."""
    layer, groups, inputs = call.operation, call.operation.groups, layout.axes[axis]
    each = layer.filters // groups
    if inputs is None or (inputs == FIXED).any():
        call.fix(layout, "convolves them in groups, with channels that stay")
        return _made(call, layout, axis, None)
    rows = inputs.reshape(groups, -1)
    for column in range(1, rows.shape[1]):
        call.unite(rows[:, 0], rows[:, column], "convolves them in groups")
    units = np.repeat(rows[:, 0], each)
    call.add(layer.kernel, -1, units, made=True)
    call.add(layer.bias, -1, units, made=True)
    return _made(call, layout, axis, units)


def _transposed(call: Call) -> list[Layout]:
    layer = call.operation
    axis = channel_axis(layer, len(call.node.inputs[0].shape))
    layout = _spatial(call, axis)
    call.add(layer.kernel, -1, layout.axes[axis])
    units = call.fresh(layer.filters)
    call.add(layer.kernel, -2, units, made=True)
    call.add(layer.bias, -1, units, made=True)
    return _made(call, layout, axis, units)


def _multiplied(units: np.ndarray | None, multiplier: int) -> np.ndarray | None:
    return None if units is None else np.repeat(units, multiplier)


def _depthwise(call: Call) -> list[Layout]:
    layer = call.operation
    axis = channel_axis(layer, len(call.node.inputs[0].shape))
    layout = _spatial(call, axis)
    units = _multiplied(layout.axes[axis], layer.depth_multiplier)
    call.add(layer.kernel, -2, layout.axes[axis])
    call.add(layer.bias, -1, units)
    return _made(call, layout, axis, units)


def _separable(call: Call) -> list[Layout]:
    layer = call.operation
    axis = channel_axis(layer, len(call.node.inputs[0].shape))
    layout = _spatial(call, axis)
    call.add(layer.depthwise_kernel, -2, layout.axes[axis])
    call.add(layer.pointwise_kernel, -2, _multiplied(layout.axes[axis], layer.depth_multiplier))
    units = call.fresh(layer.filters)
    call.add(layer.pointwise_kernel, -1, units, made=True)
    call.add(layer.bias, -1, units, made=True)
    return _made(call, layout, axis, units)


def _units(sizes: Sizes, node: Node) -> dict[str, Any]:
    return {"units": sizes.shape(node.outputs[0])[-1]}


def _filters(sizes: Sizes, node: Node) -> dict[str, Any]:
    layer: Any = node.operation
    filters = sizes.shape(node.outputs[0])[channel_axis(layer, len(node.outputs[0].shape))]
    if getattr(layer, "groups", 1) == 1 or filters is None:
        return {"filters": filters}
    return {"filters": filters, "groups": filters * layer.groups // layer.filters}


LAYERS = table(
    {
        "Dense": Rule(_dense, _units),
        "Conv1D Conv2D Conv3D": Rule(_convolution, _filters),
        "Conv1DTranspose Conv2DTranspose Conv3DTranspose": Rule(_transposed, _filters),
        "DepthwiseConv1D DepthwiseConv2D": Rule(_depthwise),
        "SeparableConv1D SeparableConv2D": Rule(_separable, _filters),
    }
)
