"""Putting tensors together along an axis, and taking them apart."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt.channels.groups import FIXED
from tfopt.channels.rule import Call, Layout, Rule, Sizes, positions, stays, table
from tfopt.graph import Node


def part(call: Call, units: np.ndarray) -> np.ndarray | None:
    """Return the units that a tensor holds which is a part of another; some of them have to stay."""
    call.walk.parts.append(units)
    return positions(units)


def _united(call: Call, axis: int | None) -> list[np.ndarray | None]:
    """Return the axes of all inputs, united; those along `axis` are not."""
    axes: list[np.ndarray | None] = list(call.inputs[0].axes)
    for other in call.inputs[1:]:
        for each in range(len(axes)):
            if each != axis:
                axes[each] = call.unite(axes[each], other.axes[each])
    return axes


def _listed(node: Node) -> Sequence[Any]:
    return node.args[0] if node.args else next(iter(node.kwargs.values()))


def _concatenate(call: Call) -> list[Layout]:
    if len(_listed(call.node)) != len(call.inputs):
        return stays(call, "joins them with arrays")
    axis = call.operation.axis % len(call.inputs[0].axes)
    sizes = [tensor.shape[axis] for tensor in call.node.inputs]
    along = [layout.axes[axis] for layout in call.inputs]
    axes = _united(call, axis)
    axes[axis] = None
    if any(units is not None for units in along):
        pieces = [
            np.full(size or 0, FIXED) if units is None else units
            for size, units in zip(sizes, along, strict=True)
        ]
        axes[axis] = positions(np.concatenate(pieces))
    return [Layout(tuple(axes), all(layout.zero or layout.fixed for layout in call.inputs))]


def _stack(call: Call) -> list[Layout]:
    if len(_listed(call.node)) != len(call.inputs):
        return stays(call, "joins them with arrays")
    axes = _united(call, None)
    axes.insert(call.operation.axis % (len(axes) + 1), None)
    return [Layout(tuple(axes), all(layout.zero for layout in call.inputs))]


def _unstack(call: Call) -> list[Layout]:
    layout = call.inputs[0]
    axis = call.operation.axis % len(layout.axes)
    others = [each for each in range(len(layout.axes)) if each != axis]
    layout = call.fix(layout, "takes them apart", but=others)
    axes = [units for each, units in enumerate(layout.axes) if each != axis]
    return [layout.with_axes(axes)] * len(call.node.outputs)


def _limits(operation: Any, size: int) -> list[int]:
    """Return where the pieces of a split begin, and the size at the end."""
    sections = operation.indices_or_sections
    if isinstance(sections, int):
        pieces = np.array_split(np.arange(size), sections)
        return [0, *np.cumsum([len(piece) for piece in pieces]).tolist()]
    return [0, *(int(index) + size * (index < 0) for index in sections), size]


def _split(call: Call) -> list[Layout]:
    layout, tensor = call.inputs[0], call.node.inputs[0]
    axis = call.operation.axis % len(layout.axes)
    units = layout.axes[axis]
    if units is None:
        return [layout] * len(call.node.outputs)
    limits = _limits(call.operation, tensor.shape[axis])
    if sorted(limits) != limits:
        return stays(call, "takes pieces in another order")
    made = []
    for start, stop in itertools.pairwise(limits):
        axes = list(layout.axes)
        axes[axis] = part(call, units[start:stop])
        made.append(layout.with_axes(axes))
    return made


def _split_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    operation: Any = node.operation
    axis = operation.axis % len(node.inputs[0].shape)
    units = sizes.axes(node.inputs[0])[axis]
    if units is None:
        return {}
    limits = _limits(operation, len(units))
    return {"indices_or_sections": [sizes.count(units[:limit]) for limit in limits[1:-1]]}


Piece = tuple[int | None, Any]
"""An axis of a tensor and the key along it; None for a new axis."""


def _keys(key: Any, rank: int) -> list[Piece] | None:
    """Return what a key of `x[key]` says of each axis; None where it holds arrays or tensors."""
    parts = list(key) if isinstance(key, (tuple, list)) else [key]
    if not all(each is None or each is Ellipsis or isinstance(each, (int, slice)) for each in parts):
        return None
    used = sum(1 for each in parts if each is not None and each is not Ellipsis)
    if Ellipsis not in parts:
        parts.append(Ellipsis)
    pieces: list[Piece] = []
    axis = 0
    for each in parts:
        if each is Ellipsis:
            pieces += [(axis + number, slice(None)) for number in range(rank - used)]
            axis += rank - used
        elif each is None:
            pieces.append((None, None))
        else:
            pieces.append((axis, each))
            axis += 1
    return pieces


def _limits_of(key: slice, length: int) -> tuple[int, int] | None:
    """Return start and stop of a slice without gaps; None for others."""
    ends = (key.start, key.stop, key.step)
    if any(not (end is None or isinstance(end, int)) for end in ends) or key.step not in (None, 1):
        return None
    start, stop, _ = key.indices(length)
    return start, max(start, stop)


def _get_item(call: Call) -> list[Layout]:
    layout = call.inputs[0]
    key = call.node.args[1] if len(call.node.args) > 1 else call.node.kwargs["key"]
    keys = None if len(call.inputs) > 1 else _keys(key, len(layout.axes))
    if keys is None:
        return stays(call, "looks positions up by values")
    axes: list[np.ndarray | None] = []
    for axis, each in keys:
        units = None if axis is None else layout.axes[axis]
        if isinstance(each, int):
            if units is not None:
                call.units.fix(units[[each]], f"{call.name} takes one of them alone")
            continue
        if units is not None and each != slice(None):
            limits = _limits_of(each, len(units))
            if limits is None:
                call.units.fix(units, f"{call.name} takes some of them by steps")
                units = None
            else:
                units = part(call, units[slice(*limits)])
        axes.append(units)
    return [layout.with_axes(axes)]


def _get_item_arguments(
    sizes: Sizes, node: Node, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    along = sizes.axes(node.inputs[0])
    by_name = len(args) < 2
    keys = _keys(kwargs["key"] if by_name else args[1], len(along))
    if keys is None or all(units is None for units in along):
        return args, kwargs
    new = []
    for axis, key in keys:
        units = None if axis is None else along[axis]
        if units is None or key == slice(None):
            new.append(key)
        elif isinstance(key, int):
            new.append(sizes.count(units[: key % len(units)]))
        else:
            limits = _limits_of(key, len(units))
            assert limits is not None
            new.append(slice(*(sizes.count(units[:limit]) for limit in limits)))
    return ((args[0],), {**kwargs, "key": tuple(new)}) if by_name else ((args[0], tuple(new)), kwargs)


def _slice_pieces(node: Node, start: Any) -> list[tuple[int, int]] | None:
    """Return start and stop along each axis of `keras.ops.slice`; None where they are not numbers."""
    operation: Any = node.operation
    if isinstance(start, keras.KerasTensor) or not all(isinstance(each, (int, np.integer)) for each in start):
        return None
    shape = node.inputs[0].shape
    return [
        (int(first), int(first) + (int(count) if count != -1 else (size or 0) - int(first)))
        for first, count, size in zip(start, operation.shape, shape, strict=True)
    ]


def _start(args: tuple, kwargs: dict[str, Any]) -> Any:
    return args[1] if len(args) > 1 else kwargs["start_indices"]


def _slice(call: Call) -> list[Layout]:
    layout = call.inputs[0]
    pieces = _slice_pieces(call.node, _start(call.node.args, call.node.kwargs))
    if pieces is None:
        return stays(call, "takes a part that begins where a tensor says")
    axes = [
        None if units is None else (units if stop - start == len(units) else part(call, units[start:stop]))
        for units, (start, stop) in zip(layout.axes, pieces, strict=True)
    ]
    return [layout.with_axes(axes)]


def _slice_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    pieces = _slice_pieces(node, _start(node.args, node.kwargs))
    if pieces is None:
        return {}
    operation: Any = node.operation
    along = zip(operation.shape, sizes.axes(node.inputs[0]), pieces, strict=True)
    return {
        "shape": tuple(
            count if units is None else sizes.count(units[slice(*piece)]) for count, units, piece in along
        )
    }


def _slice_arguments(
    sizes: Sizes, node: Node, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    pieces = _slice_pieces(node, _start(node.args, node.kwargs))
    if pieces is None:
        return args, kwargs
    starts = tuple(
        start if units is None else sizes.count(units[:start])
        for units, (start, _) in zip(sizes.axes(node.inputs[0]), pieces, strict=True)
    )
    return (args[0], starts), {name: each for name, each in kwargs.items() if name != "start_indices"}


def _indices(args: tuple, kwargs: dict[str, Any]) -> Any:
    return args[1] if len(args) > 1 else kwargs["indices"]


def _take(call: Call) -> list[Layout]:
    layout, operation = call.layout(call.node.args[0]), call.operation
    indices = _indices(call.node.args, call.node.kwargs)
    if operation.axis is None or not isinstance(call.node.args[0], keras.KerasTensor):
        return stays(call, "looks positions up in all of them")
    axis = operation.axis % len(layout.axes)
    others = [each for each in range(len(layout.axes)) if each != axis]
    units = layout.axes[axis]
    rank = len(call.node.outputs[0].shape) - len(others)
    between: list[np.ndarray | None] = [None] * rank
    if units is not None and not isinstance(indices, keras.KerasTensor) and np.ndim(indices) == 1:
        between = [part(call, units[np.asarray(indices)])]
    else:
        for each in call.inputs:
            call.fix(each, "looks positions up along their axis", but=others if each is layout else ())
    axes = list(layout.axes)
    return [layout.with_axes([*axes[:axis], *between, *axes[axis + 1 :]])]


def _take_arguments(
    sizes: Sizes, node: Node, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    operation: Any = node.operation
    indices = _indices(node.args, node.kwargs)
    if operation.axis is None or isinstance(indices, keras.KerasTensor) or np.ndim(indices) != 1:
        return args, kwargs
    units = sizes.axes(node.inputs[0])[operation.axis % len(node.inputs[0].shape)]
    if units is None:
        return args, kwargs
    kept = sizes.kept(units)
    places = np.asarray(indices) % len(units)
    new = (np.cumsum(kept) - 1)[places[kept[places]]]
    return (args[0], new.astype("int32")), {}


LAYERS = table({"Concatenate": Rule(_concatenate)})
OPERATIONS = table(
    {
        "Concatenate": Rule(_concatenate),
        "Stack": Rule(_stack),
        "Unstack": Rule(_unstack),
        "Split ArraySplit": Rule(_split, _split_config),
        "GetItem": Rule(_get_item, arguments=_get_item_arguments),
        "Slice": Rule(_slice, _slice_config, _slice_arguments),
        "Take": Rule(_take, arguments=_take_arguments),
    }
)
