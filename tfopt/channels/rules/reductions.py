"""Operations along some axes: units along these stay, units along the others pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tfopt.channels.rule import Call, Layout, Rule, table


def _along(operation: Any, rank: int) -> list[int]:
    """Return the axes along which an operation computes, all where it has none."""
    axis = getattr(operation, "axis", getattr(operation, "axes", None))
    if axis is None:
        return list(range(rank))
    return [each % rank for each in (axis if isinstance(axis, (list, tuple)) else [axis])]


def _others(axes: Sequence[int], rank: int) -> list[int]:
    return [axis for axis in range(rank) if axis not in axes]


def _reduced(call: Call, layout: Layout, axes: Sequence[int]) -> Layout:
    keep = getattr(call.operation, "keepdims", False)
    left = [
        None if axis in axes else units for axis, units in enumerate(layout.axes) if keep or axis not in axes
    ]
    return layout.with_axes(left)


def _reduction(call: Call) -> list[Layout]:
    """Follow a choice of one of several numbers, of which nobody knows what it is without some of them."""
    rank = len(call.inputs[0].axes)
    axes = _along(call.operation, rank)
    layout = call.fix(call.inputs[0], "computes one number of all of them", but=_others(axes, rank))
    for other in call.inputs[1:]:
        call.fix(other, "weights others by them")
    layout = layout.with_axes(layout.axes, layout.zero and type(call.operation).__name__ in _OF_ZEROS)
    return [_reduced(call, layout, axes)] * len(call.node.outputs)


_OF_ZEROS = frozenset({"Max", "Min", "Amax", "Amin", "Average", "Median", "Ptp", "Prod"})


def _statistic(call: Call) -> list[Layout]:
    """Follow a statistic: over channels it is another one when some of them go, as in a normalization."""
    layout = call.inputs[0]
    for axis in _along(call.operation, len(layout.axes)):
        units = layout.axes[axis]
        if units is not None:
            call.units.make_inexact(units)
    return [_reduced(call, layout, _along(call.operation, len(layout.axes)))] * len(call.node.outputs)


def _sum(call: Call) -> list[Layout]:
    """Follow a sum, to which zeros add nothing."""
    layout = call.inputs[0]
    if not layout.zero:
        return _statistic(call)
    return [_reduced(call, layout, _along(call.operation, len(layout.axes)))]


def _along_axis(call: Call) -> list[Layout]:
    """Follow an operation that returns as many numbers along its axis as it is given, or fewer."""
    rank = len(call.inputs[0].axes)
    axes = _along(call.operation, rank)
    layout = call.fix(call.inputs[0], "computes with all of them", but=_others(axes, rank))
    for other in call.inputs[1:]:
        call.fix(other, "computes with all of them")
    return [layout.with_axes(layout.axes, zero=False)] * len(call.node.outputs)


def _last_axis(call: Call) -> list[Layout]:
    layout = call.fix(call.inputs[0], "computes with all of them", but=range(len(call.inputs[0].axes) - 1))
    return [layout.with_axes(layout.axes, zero=False)] * len(call.node.outputs)


def _triangle(call: Call) -> list[Layout]:
    return [call.fix(call.inputs[0], "takes a triangle of them", but=range(len(call.inputs[0].axes) - 2))]


OPERATIONS = table(
    {
        "Max Min Amax Amin Prod Median Average Argmax Argmin Logsumexp": Rule(_reduction),
        "All Any CountNonzero Quantile Percentile Ptp": Rule(_reduction),
        "Mean Var Std Moments Norm": Rule(_statistic),
        "Sum": Rule(_sum),
        "Softmax LogSoftmax Sparsemax Glu Cumsum Cumprod Sort Argsort Diff": Rule(_along_axis),
        "Tril Triu": Rule(_triangle),
        "TopK": Rule(_last_axis),
    }
)
LAYERS = table({"Softmax": Rule(_along_axis)})
