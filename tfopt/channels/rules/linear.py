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
    """Follow a convolution in groups: whole groups are units, or channels at one place in all groups.

    The finer of both is chosen, and the other where all of its units stay.
    """
    layer, inputs = call.operation, layout.axes[axis]
    read, made = call.node.inputs[0].shape[axis] // layer.groups, layer.filters // layer.groups
    ways = [_whole_groups, _inside_groups]
    if min(read, made) > layer.groups:
        ways.reverse()
    units, deciding = ways[call.choice](call, None if inputs is None else inputs.reshape(-1, read))
    call.walk.choices.append((call.place, deciding, len(ways)))
    call.add(layer.kernel, -1, units, made=True)
    call.add(layer.bias, -1, units, made=True)
    return _made(call, layout, axis, units)


Ways = tuple[np.ndarray | None, np.ndarray]
"""The units of the channels that are made, and those by which a way is given up where all of them stay."""


def _whole_groups(call: Call, inputs: np.ndarray | None) -> Ways:
    """Let a group with all that it reads and makes be a unit; `inputs` of shape `(groups, channels)`."""
    layer = call.operation
    if inputs is None or (inputs == FIXED).any():
        call.fix(call.inputs[0], "convolves them in groups, with channels that stay")
        return None, np.array([FIXED])
    for column in range(1, inputs.shape[1]):
        call.unite(inputs[:, 0], inputs[:, column], "convolves them in groups")
    return np.repeat(inputs[:, 0], layer.filters // layer.groups), inputs[:, 0]


def _inside_groups(call: Call, inputs: np.ndarray | None) -> Ways:
    """Let the channels at one place in all groups be a unit; `inputs` of shape `(groups, channels)`."""
    layer = call.operation
    if inputs is not None:
        for other in inputs[1:]:
            call.unite(inputs[0], other, "convolves them in groups, with channels that stay")
    call.add(layer.kernel, -2, None if inputs is None else inputs[0])
    made = call.fresh(layer.filters // layer.groups)
    if made is None:
        return None, np.array([FIXED]) if inputs is None else inputs[0]
    return np.tile(made, layer.groups), made


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
    tensor, rank = node.inputs[0], len(layer.kernel.shape)
    read = sizes.shape(tensor)[channel_axis(layer, len(tensor.shape))]
    assert read is not None  # Keras builds no kernel without
    return {"filters": filters, "groups": read // sizes.of_variable(layer.kernel, rank - 2)}


LAYERS = table(
    {
        "Dense": Rule(_dense, _units),
        "Conv1D Conv2D Conv3D": Rule(_convolution, _filters),
        "Conv1DTranspose Conv2DTranspose Conv3DTranspose": Rule(_transposed, _filters),
        "DepthwiseConv1D DepthwiseConv2D": Rule(_depthwise),
        "SeparableConv1D SeparableConv2D": Rule(_separable, _filters),
    }
)
