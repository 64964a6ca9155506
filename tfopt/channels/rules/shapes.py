"""Other shapes of the same values: axes are merged and split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfopt.channels.rule import Call, Layout, Rule, Sizes, table
from tfopt.channels.rules.axes import REORDERING, order_of
from tfopt.graph import Node

Shape = Sequence[int | None]
Block = tuple[list[int], list[int]]
"""Old axes and the new axes with the same values."""


def _others(layout: Layout, axes: Sequence[int]) -> list[int]:
    return [axis for axis in range(len(layout.axes)) if axis not in axes]


def blocks(old: Shape, new: Shape) -> list[Block]:
    """Return which axes become which, in the smallest pieces that can be told apart.

    Args:
        old, new: shapes of the same number of elements; None where a size is not known.
    """
    found: list[Block] = []
    i = j = 0
    while i < len(old) or j < len(new):
        if i < len(old) and j < len(new) and old[i] == new[j] and _same_rest(old[i:], new[j:]):
            found.append(([i], [j]))
            i, j = i + 1, j + 1
            continue
        end = _end_of_block(old[i:], new[j:])
        if end is None:
            return [*found, *_with_unknown(old, new, i, j)]
        found.append(([*range(i, i + end[0])], [*range(j, j + end[1])]))
        i, j = i + end[0], j + end[1]
    return found


def _same_rest(old: Shape, new: Shape) -> bool:
    """Return whether two sizes that are both not known are the same one: what comes after them agrees."""
    if old[0] is not None:
        return True
    known = [math.prod(size for size in shape if size is not None) for shape in (old, new)]
    return known[0] == known[1] and list(old).count(None) == list(new).count(None)


def _end_of_block(old: Shape, new: Shape) -> tuple[int, int] | None:
    """Return how many of the first sizes have the same product; None where one of them is not known."""
    i, j, one, other = 0, 0, 1, 1
    while True:
        if (one <= other and i < len(old)) or j == len(new):
            size, i, one_next = (old[i] if i < len(old) else None), i + 1, True
        else:
            size, j, one_next = new[j], j + 1, False
        if size is None:
            return None
        if one_next:
            one *= size
        else:
            other *= size
        if one == other and ((i > 0 and j > 0) or (i == len(old) and j == len(new))):
            return i, j


def _with_unknown(old: Shape, new: Shape, i: int, j: int) -> list[Block]:
    """Return the rest of the blocks from places on where a size is not known: equal sizes from the end."""
    tail: list[Block] = []
    one, other = len(old), len(new)
    while one > i and other > j and old[one - 1] == new[other - 1] and old[one - 1] is not None:
        one, other = one - 1, other - 1
        tail.append(([one], [other]))
    middle: list[Block] = [([*range(i, one)], [*range(j, other)])]
    return middle + tail[::-1]


def merged(call: Call, layout: Layout, axes: Sequence[int], shape: Shape) -> np.ndarray | None:
    """Return the units along the axis that some axes are merged to, in the order of rows.

    Where several of them have units, those of the axis with most pass, and the others stay.

    Args:
        call: that merges.
        layout: of what it merges.
        axes: which, in their order in the result.
        shape: of the tensor.
    """
    having = [axis for axis in axes if layout.axes[axis] is not None]
    if not having:
        return None
    sizes = [shape[axis] for axis in axes]
    if None in sizes:
        call.fix(layout, "merges them with an axis of unknown size", but=_others(layout, axes))
        return None
    chosen = max(having, key=lambda axis: shape[axis] or 0)
    call.fix(layout, "merges them with an axis that has more", but=[*_others(layout, axes), chosen])
    units = layout.axes[chosen]
    assert units is not None
    known = [size for size in sizes if size is not None]
    along = units.reshape([len(units) if axis == chosen else 1 for axis in axes])
    return np.broadcast_to(along, known).reshape(math.prod(known))


def split(call: Call, units: np.ndarray, sizes: Sequence[int], first: int) -> list[np.ndarray | None]:
    """Return the units along the axes that an axis is split to: one of them has them, the others none.

    What stands at one position of the axis that has them goes together. It is the one along which the units
    were before they were merged; otherwise that of the heads, or the larger one where they are shuffled.

    Args:
        call: that splits.
        units: along the axis.
        sizes: of the new axes.
        first: the place of the first of them in the output.
    """
    rows = units.reshape(sizes)
    wide = [axis for axis, size in enumerate(sizes) if size > 1]
    first_of: dict[int, np.ndarray] = {
        axis: rows[tuple(slice(None) if each == axis else 0 for each in range(len(sizes)))] for axis in wide
    }
    along = {axis: _along(values, axis, sizes) for axis, values in first_of.items()}
    same = [axis for axis in wide if np.array_equal(rows, along[axis])]
    order = same or _preferred(call, sizes, wide, first)
    axis = order[call.choice % len(order)]
    if not same:
        call.units.unite(along[axis].ravel(), rows.ravel(), f"{call.name} joins them with channels that stay")
        call.walk.choices.append((call.place, first_of[axis], len(order)))
    return [first_of[axis] if each == axis else None for each in range(len(sizes))]


def _along(values: np.ndarray, axis: int, sizes: Sequence[int]) -> np.ndarray:
    return np.broadcast_to(values.reshape([-1 if each == axis else 1 for each in range(len(sizes))]), sizes)


def _preferred(call: Call, sizes: Sequence[int], wide: list[int], first: int) -> list[int]:
    """Return axes in the order in which they are to have the units.

    Queries, keys and values in one tensor are three, four with a gate; heads come before what is in a head.
    """
    if len(wide) == 2 and _swapped(call, first + wide[0], first + wide[1]):
        return sorted(wide, key=lambda axis: -sizes[axis])
    if len(wide) > 2:
        return sorted(wide, key=lambda axis: sizes[axis] <= 4)
    return wide


def _swapped(call: Call, one: int, other: int) -> bool:
    """Return whether the output is read with two axes swapped that stay next to each other: a shuffle."""
    output = call.node.outputs[0]
    for reader in call.walk.readers.get(id(output), ()):
        if type(reader.operation).__name__ in {"Permute", *REORDERING.split()}:
            order = order_of(reader.operation, len(output.shape))
            if order.index(other) + 1 == order.index(one):
                return True
    return False


def reshaped(call: Call) -> list[Layout]:
    """Follow a reshape to the shape of the output."""
    layout, old, new = call.inputs[0], call.node.inputs[0].shape, call.node.outputs[0].shape
    axes: list[np.ndarray | None] = [None] * len(new)
    for before, after in blocks(old, new):
        if all(layout.axes[axis] is None for axis in before):
            continue
        sizes = [size for axis in after if (size := new[axis]) is not None]
        if len(before) == len(after) == 1 and old[before[0]] == new[after[0]]:
            axes[after[0]] = layout.axes[before[0]]
        elif len(sizes) < len(after) or not after:
            call.fix(layout, "merges them with an axis of unknown size", but=_others(layout, before))
        elif (units := merged(call, layout, before, old)) is not None:
            made = [units] if len(after) == 1 else split(call, units, sizes, after[0])
            for axis, each in zip(after, made, strict=True):
                axes[axis] = each
    return [layout.with_axes(axes)]


def _shape_config(entry: str, batched: bool) -> Any:
    """Return the function of the config of a reshape, whose shape is called `entry`."""

    def config(sizes: Sizes, node: Node) -> dict[str, Any]:
        given = getattr(node.operation, entry)
        start = 1 if batched else 0
        axes, shape = sizes.axes(node.outputs[0])[start:], sizes.shape(node.outputs[0])[start:]
        new = [
            size if units is None else count for size, units, count in zip(given, axes, shape, strict=True)
        ]
        return {entry: tuple(new)}

    return config


def _flatten(call: Call) -> list[Layout]:
    layout, shape = call.inputs[0], call.node.inputs[0].shape
    order = list(range(1, len(shape)))
    if call.operation.data_format == "channels_first" and order:
        order = [*order[1:], order[0]]
    units = merged(call, layout, order, shape) if order else None
    return [layout.with_axes((layout.axes[0], units))]


def _depth_to_space(call: Call) -> list[Layout]:
    operation, layout = call.operation, call.inputs[0]
    if operation.data_format != "channels_last":
        return [_fixed_like(call)]
    layout = call.fix(layout, "puts them next to each other", but=[-1])
    axes, units = list(layout.axes), layout.axes[-1]
    if units is not None:
        rows = units.reshape(operation.block_size**2, -1)
        for row in rows[1:]:
            call.unite(rows[0], row, "joins them with channels that stay")
        axes[-1] = rows[0]
    return [layout.with_axes(axes)]


def _space_to_depth(call: Call) -> list[Layout]:
    operation, layout = call.operation, call.inputs[0]
    if operation.data_format != "channels_last":
        return [_fixed_like(call)]
    layout = call.fix(layout, "makes channels of them", but=[-1])
    axes, units = list(layout.axes), layout.axes[-1]
    axes[-1] = None if units is None else np.tile(units, operation.block_size**2)
    return [layout.with_axes(axes)]


def _fixed_like(call: Call) -> Layout:
    call.fix(call.inputs[0], "has the channels first")
    return Layout((None,) * len(call.node.outputs[0].shape))


LAYERS = table(
    {
        "Flatten": Rule(_flatten),
        "Reshape": Rule(reshaped, _shape_config("target_shape", batched=True)),
    }
)
OPERATIONS = table(
    {
        "Reshape": Rule(reshaped, _shape_config("newshape", batched=False)),
        "Ravel": Rule(reshaped),
        "DepthToSpace": Rule(_depth_to_space),
        "SpaceToDepth": Rule(_space_to_depth),
    }
)
