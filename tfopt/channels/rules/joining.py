"""Putting tensors together along an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfopt.channels.groups import FIXED
from tfopt.channels.rules.rule import Call, Layout, Rule, positions, stays, table


def concatenated(call: Call, axis: int) -> list[Layout]:
    """Return the layout of tensors that are concatenated along an axis."""
    rank = len(call.node.outputs[0].shape)
    axis %= rank
    along = [
        np.full(tensor.shape[axis] or 0, FIXED) if units is None else units
        for tensor, units in zip(call.node.inputs, (each.axes[axis] for each in call.inputs), strict=True)
    ]
    axes: list[np.ndarray | None] = list(call.inputs[0].axes)
    for other in call.inputs[1:]:
        for each in range(rank):
            if each != axis:
                axes[each] = call.unite(axes[each], other.axes[each], "joins them with channels that stay")
    axes[axis] = positions(np.concatenate(along))
    return [Layout(tuple(axes), all(layout.zero for layout in call.inputs))]


def _concatenate(call: Call) -> list[Layout]:
    operation: Any = call.operation
    tensors = call.node.args[0] if call.node.args else next(iter(call.node.kwargs.values()))
    if len(tensors) != len(call.inputs):
        return stays(call, "concatenates them with arrays")
    return concatenated(call, operation.axis)


LAYERS = table({"Concatenate": Rule(_concatenate)})
OPERATIONS = table({"Concatenate": Rule(_concatenate)})
