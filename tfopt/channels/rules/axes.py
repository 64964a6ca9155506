"""Axes in another order, new ones, and repeated positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfopt.channels.groups import FIXED
from tfopt.channels.rule import Call, Layout, Rule, Sizes, positions, table
from tfopt.graph import Node


def _ordered(call: Call, order: Sequence[int]) -> list[Layout]:
    layout = call.inputs[0]
    return [layout.with_axes([layout.axes[axis] for axis in order])]


def order_of(operation: Any, rank: int) -> list[int]:
    """Return the old place of each new axis, of an operation that puts axes in another order."""
    places = np.arange(rank)
    name = type(operation).__name__
    if name == "Permute":
        return [0, *operation.dims]
    if name == "Transpose":
        return [axis % rank for axis in operation.axes or range(rank - 1, -1, -1)]
    if name == "Swapaxes":
        first, second = operation.axis1 % rank, operation.axis2 % rank
        places[[first, second]] = places[[second, first]]
        return places.tolist()
    source = [axis % rank for axis in operation.source]
    left = [axis for axis in range(rank) if axis not in source]
    for destination, axis in sorted(
        zip((each % rank for each in operation.destination), source, strict=True)
    ):
        left.insert(destination, axis)
    return left


REORDERING = "Transpose Moveaxis Swapaxes"


def _reordered(call: Call) -> list[Layout]:
    return _ordered(call, order_of(call.operation, len(call.inputs[0].axes)))


def _expand(call: Call) -> list[Layout]:
    layout, operation = call.inputs[0], call.operation
    new = operation.axis if isinstance(operation.axis, (list, tuple)) else [operation.axis]
    axes: list[np.ndarray | None] = list(layout.axes)
    rank = len(axes) + len(new)
    for axis in sorted(each % rank for each in new):
        axes.insert(axis, None)
    return [layout.with_axes(axes)]


def _squeezed(node: Node) -> list[int]:
    """Return the axes that go: those of one position, where the operation names none."""
    operation: Any = node.operation
    shape = node.inputs[0].shape
    if operation.axis is None:
        return [axis for axis, size in enumerate(shape) if size == 1]
    given = operation.axis if isinstance(operation.axis, (list, tuple)) else [operation.axis]
    return [axis % len(shape) for axis in given]


def _squeeze(call: Call) -> list[Layout]:
    gone = _squeezed(call.node)
    others = [axis for axis in range(len(call.inputs[0].axes)) if axis not in gone]
    layout = call.fix(call.inputs[0], "removes their axis", but=others)
    return [layout.with_axes([layout.axes[axis] for axis in others])]


def _squeeze_config(sizes: Sizes, node: Node) -> dict[str, Any]:  # noqa: ARG001 (a rule's signature)
    """Name the axes, for another may have one position now."""
    return {"axis": tuple(_squeezed(node))}


def _repeat_vector(call: Call) -> list[Layout]:
    layout = call.inputs[0]
    return [layout.with_axes((layout.axes[0], None, layout.axes[1]))]


def _repeat(call: Call) -> list[Layout]:
    layout, operation = call.inputs[0], call.operation
    if operation.axis is None or not isinstance(operation.repeats, int):
        layout = call.fix(layout, "repeats each as often as it says")
        return [Layout((None,) * len(call.node.outputs[0].shape))]
    axes = list(layout.axes)
    units = axes[operation.axis]
    axes[operation.axis] = None if units is None else np.repeat(units, operation.repeats)
    return [layout.with_axes(axes)]


def _tile(call: Call) -> list[Layout]:
    layout, repeats = call.inputs[0], call.operation.repeats
    times = [repeats] if isinstance(repeats, int) else list(repeats)
    rank = len(call.node.outputs[0].shape)
    times = [1] * (rank - len(times)) + times
    axes: list[np.ndarray | None] = [*[None] * (rank - len(layout.axes)), *layout.axes]
    for axis, (units, count) in enumerate(zip(axes, times, strict=True)):
        if units is not None:
            axes[axis] = np.tile(units, count) if isinstance(count, int) else None
            if not isinstance(count, int):
                call.units.fix(units, f"{call.name} repeats them as often as a tensor says")
    return [layout.with_axes(axes)]


def _broadcast(call: Call) -> list[Layout]:
    layout, shape = call.inputs[0], call.node.outputs[0].shape
    missing = len(shape) - len(layout.axes)
    axes: list[np.ndarray | None] = [None] * missing
    for size, units, wide in zip(call.node.inputs[0].shape, layout.axes, shape[missing:], strict=True):
        if units is not None and size != wide:
            call.units.fix(units, f"{call.name} repeats it")
        axes.append(None if size != wide else units)
    return [layout.with_axes(axes)]


def _broadcast_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    operation: Any = node.operation
    new, axes = sizes.shape(node.outputs[0]), sizes.axes(node.outputs[0])
    given = zip(operation.shape, new, axes, strict=True)
    return {"shape": tuple(size if units is None else count for size, count, units in given)}


def _pad(call: Call) -> list[Layout]:
    layout, operation = call.inputs[0], call.operation
    widths = list(operation.pad_width) * (len(layout.axes) if len(operation.pad_width) == 1 else 1)
    axes = list(layout.axes)
    for axis, (units, width) in enumerate(zip(axes, widths, strict=True)):
        before, after = (width[0], width[-1])
        if units is not None and (before or after):
            if operation.mode == "constant":
                axes[axis] = positions(np.pad(units, (before, after), constant_values=FIXED))
            else:
                call.units.fix(units, f"{call.name} repeats some of them")
                axes[axis] = None
    return [layout.with_axes(axes)]


def _flip(call: Call) -> list[Layout]:
    layout, axis = call.inputs[0], call.operation.axis
    rank = len(layout.axes)
    given = range(rank) if axis is None else (axis if isinstance(axis, (list, tuple)) else [axis])
    flipped = {each % rank for each in given}
    axes = [
        units[::-1] if units is not None and each in flipped else units
        for each, units in enumerate(layout.axes)
    ]
    return [layout.with_axes(axes)]


def _roll(call: Call) -> list[Layout]:
    layout, axis = call.inputs[0], call.operation.axis
    rank = len(layout.axes)
    given = range(rank) if axis is None else (axis if isinstance(axis, (list, tuple)) else [axis])
    rolled = {each % rank for each in given}
    return [call.fix(layout, "moves them", but=[each for each in range(rank) if each not in rolled])]


LAYERS = table({"Permute": Rule(_reordered), "RepeatVector": Rule(_repeat_vector)})
OPERATIONS = table(
    {
        REORDERING: Rule(_reordered),
        "ExpandDims": Rule(_expand),
        "Squeeze": Rule(_squeeze, _squeeze_config),
        "Repeat": Rule(_repeat),
        "Tile": Rule(_tile),
        "BroadcastTo": Rule(_broadcast, _broadcast_config),
        "Pad": Rule(_pad),
        "Flip": Rule(_flip),
        "Roll": Rule(_roll),
    }
)
