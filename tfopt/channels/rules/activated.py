"""The activation of a layer, after what the layer computes."""

from __future__ import annotations

from typing import Any

from tfopt.channels.rules.rule import Call, Layout
from tfopt.channels.rules.zeros import MIXING, is_elementwise, keeps_zero


def activated(call: Call, layout: Layout, activation: Any) -> Layout:
    """Return the layout after an activation, where some let the units that they read stay.

    Args:
        call: of the layer that has it.
        layout: of what it is given.
        activation: a function or a layer; None for none.
    """
    if is_elementwise(activation):
        return layout.with_axes(layout.axes, layout.zero and keeps_zero(activation))
    name = getattr(activation, "__name__", type(activation).__name__)
    if name in MIXING:
        others = range(len(layout.axes) - 1)
        fixed = call.fix(layout, f"has the activation {name}, which computes with all channels", but=others)
    else:
        fixed = call.fix(layout, f"has the activation {name}, which is not one of Keras's")
    return fixed.with_axes(fixed.axes, zero=False)
