"""Other shapes of the same values: flattened, reshaped, with axes in another order."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tfopt.channels.rules.rule import Call, Layout, Rule, table


def merged(call: Call, layout: Layout, axes: list[int], shape: tuple) -> np.ndarray | None:
    """Return the units along the axis that some axes are merged to, in the order of rows.

    Where several have units, those of the axis with most stay what they are, the others are kept.

    Args:
        call: that merges.
        layout: of what it merges.
        axes: which.
        shape: of the tensor.
    """
    having = [axis for axis in axes if layout.axes[axis] is not None]
    if not having:
        return None
    sizes = [shape[axis] for axis in axes]
    if None in sizes:
        if all(size in (None, 1) or axis in having for axis, size in zip(axes, sizes, strict=True)):
            pass
        call.fix(layout, "merges them with an axis whose size is not known", but=_others(layout, axes))
        return None
    chosen = max(having, key=lambda axis: shape[axis])
    call.fix(layout, "merges their axis with another one that has more", but=[*_others(layout, axes), chosen])
    units = layout.axes[chosen]
    assert units is not None
    along = units.reshape([len(units) if axis == chosen else 1 for axis in axes])
    return np.broadcast_to(along, sizes).reshape(math.prod(sizes))


def _others(layout: Layout, axes: list[int]) -> list[int]:
    return [axis for axis in range(len(layout.axes)) if axis not in axes]


def _flatten(call: Call) -> list[Layout]:
    layout, shape = call.inputs[0], call.node.inputs[0].shape
    order = list(range(1, len(shape)))
    if call.operation.data_format == "channels_first" and len(shape) > 1:
        order = [*order[1:], order[0]]
    units = merged(call, layout, order, shape) if order else None
    return [layout.with_axes((layout.axes[0], units))]


LAYERS = table({"Flatten": Rule(_flatten)})
OPERATIONS: dict[str, Any] = {}
