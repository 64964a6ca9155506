"""Normalizations, and what else scales channels one by one."""

from __future__ import annotations

from typing import Any

from tfopt.channels.rules.rule import Call, Layout, Rule, table


def _batch(call: Call) -> list[Layout]:
    layer: Any = call.operation
    layout = call.inputs[0]
    axes = list(layout.axes)
    for variable in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance):
        call.add(variable, 0, axes[layer.axis])
    # Statistics are taken of each channel by itself, over all of the other axes.
    layout = call.fix(layout, "takes statistics over them", but=[layer.axis])
    return [layout.with_axes(layout.axes, zero=layer.scale or layout.zero)]


LAYERS = table({"BatchNormalization": Rule(_batch)})
