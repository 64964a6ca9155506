"""Normalizations, and what else scales channels one by one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt.channels.groups import FIXED
from tfopt.channels.rule import Call, Layout, Rule, Sizes, table
from tfopt.graph import Node


def _batch(call: Call) -> list[Layout]:
    layer = call.operation
    # Statistics are taken of each channel by itself, over all of the other axes.
    layout = call.fix(call.inputs[0], "takes statistics over them", but=[layer.axis])
    for variable in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance):
        call.add(variable, 0, layout.axes[layer.axis])
    return [layout.with_axes(layout.axes, zero=layer.scale or layout.zero)]


def _listed(axis: Any, rank: int) -> list[int]:
    """Return axes as a list."""
    return [each % rank for each in (axis if isinstance(axis, (list, tuple)) else [axis])]


def _over_channels(
    call: Call, layout: Layout, axes: Sequence[int], variables: Sequence[Any], zero: bool
) -> list[Layout]:
    """Follow a normalization by statistics over axes, which change when some of the channels go.

    Args:
        call: of it.
        layout: of what it normalizes.
        axes: over which it takes the statistics.
        variables: that it scales and moves by, with these axes; None for none.
        zero: whether it makes zero of a channel whose variables are zero.
    """
    for position, axis in enumerate(axes):
        units = layout.axes[axis]
        for variable in variables:
            call.add(variable, position, units)
        if units is not None:
            call.units.make_inexact(units)
    return [layout.with_axes(layout.axes, zero and layout.only(*axes))]


def _layer(call: Call) -> list[Layout]:
    layer, layout = call.operation, call.inputs[0]
    axes = _listed(layer.axis, len(layout.axes))
    return _over_channels(call, layout, axes, (layer.gamma, layer.beta), zero=layer.scale)


def _rms(call: Call) -> list[Layout]:
    layer, layout = call.operation, call.inputs[0]
    axes = _listed(layer.axis, len(layout.axes))
    return _over_channels(call, layout, axes, (layer.scale,), zero=True)


def _unit(call: Call) -> list[Layout]:
    """Follow a division by the root of a sum of squares, to which zeros add nothing."""
    layout = call.inputs[0]
    for axis in _listed(call.operation.axis, len(layout.axes)):
        units = layout.axes[axis]
        if units is not None and (not layout.zero or getattr(call.operation, "order", 2) != 2):
            call.units.make_inexact(units)
    return [layout]


def _group(call: Call) -> list[Layout]:
    """Follow a normalization of groups of channels: one of these is a unit, but where there is only one."""
    layer, layout = call.operation, call.inputs[0]
    axis = layer.axis % len(layout.axes)
    layout = call.fix(layout, "takes statistics over them", but=[axis])
    units = layout.axes[axis]
    if units is not None and layer.groups == 1:
        call.units.make_inexact(units)
    elif units is not None:
        rows = units.reshape(layer.groups, -1)
        for column in range(1, rows.shape[1]):
            call.unite(rows[:, 0], rows[:, column], "normalizes them in groups")
        # What stays, stays for all of its group.
        units = np.where((rows == FIXED).any(axis=1), FIXED, rows[:, 0]).repeat(rows.shape[1])
    for variable in (layer.gamma, layer.beta):
        call.add(variable, 0, units)
    axes = list(layout.axes)
    axes[axis] = units
    return [layout.with_axes(axes, zero=bool(layer.scale))]


def _group_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    layer: Any = node.operation
    old, new = node.inputs[0].shape[layer.axis], sizes.shape(node.inputs[0])[layer.axis]
    assert old is not None
    assert new is not None
    return {} if layer.groups == 1 else {"groups": new * layer.groups // old}


def _scale(call: Call) -> list[Layout]:
    layout = call.inputs[0]
    call.add(call.operation.gamma, 0, layout.axes[-1])
    return [layout.with_axes(layout.axes, zero=layout.only(-1) or layout.zero)]


def _scale_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    return {"projection_dim": sizes.shape(node.inputs[0])[-1]}


def _with_operands(call: Call, axes: Sequence[int], names: Sequence[str]) -> tuple[Layout, dict[str, Layout]]:
    """Unite the axes of the operands of an operation with those of what it normalizes.

    Args:
        call: its first argument is what it normalizes.
        axes: of it that the operands have.
        names: of the operands, in the order of the arguments.

    Returns:
        The layout of what it normalizes, and that of each operand that is symbolic.
    """
    layout = call.layout(call.node.args[0])
    given = {**dict(zip(names, call.node.args[1:], strict=False)), **call.node.kwargs}
    operands = {name: given[name] for name in names if given.get(name) is not None}
    united = list(layout.axes)
    for operand in operands.values():
        for position, axis in enumerate(axes):
            united[axis] = call.unite(united[axis], call.layout(operand).axes[position])
    symbolic = {
        name: call.layout(each) for name, each in operands.items() if isinstance(each, keras.KerasTensor)
    }
    return layout.with_axes(united), symbolic


def _layer_operation(call: Call) -> list[Layout]:
    rank = len(call.node.outputs[0].shape)
    axes = _listed(call.operation.axis, rank)
    layout, operands = _with_operands(call, axes, ("gamma", "beta"))
    zero = operands["gamma"].zero if "gamma" in operands else False
    zero = zero and operands.get("beta", Layout((), zero=True)).zero
    return _over_channels(call, layout, axes, (), zero)


def _rms_operation(call: Call) -> list[Layout]:
    axes = _listed(call.operation.axis, len(call.node.outputs[0].shape))
    layout, operands = _with_operands(call, axes, ("scale",))
    return _over_channels(call, layout, axes, (), zero=any(each.zero for each in operands.values()))


def _batch_operation(call: Call) -> list[Layout]:
    axes = _listed(call.operation.axis, len(call.node.outputs[0].shape))
    layout, operands = _with_operands(call, axes, ("mean", "variance", "offset", "scale"))
    layout = call.fix(layout, "takes statistics over them", but=axes)
    scaled = "scale" in operands and operands["scale"].zero
    return [layout.with_axes(layout.axes, scaled and operands.get("offset", operands["scale"]).zero)]


LAYERS = table(
    {
        "BatchNormalization": Rule(_batch),
        "LayerNormalization": Rule(_layer),
        "RMSNormalization": Rule(_rms),
        "UnitNormalization": Rule(_unit),
        "GroupNormalization": Rule(_group, _group_config),
        "LayerScale": Rule(_scale, _scale_config),
    }
)
OPERATIONS = table(
    {
        "LayerNorm": Rule(_layer_operation),
        "RMSNorm": Rule(_rms_operation),
        "BatchNorm": Rule(_batch_operation),
        "Normalize": Rule(_unit),
    }
)
