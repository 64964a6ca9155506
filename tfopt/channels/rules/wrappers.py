"""Layers around a layer: the rule of that one is followed inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfopt.channels.rule import Axes, Call, Layout, Rule, Sizes, stays
from tfopt.channels.rules.recurrent import with_config
from tfopt.graph import Node

Find = Callable[[keras.Operation], Rule]
"""Returns the rule of an operation."""


def _inside(node: Node, *, steps: bool) -> Node:
    """Return the call of the layer inside: with tensors of one step where it runs on each."""
    layer: Any = node.operation

    def of_step(tensor: keras.KerasTensor) -> keras.KerasTensor:
        shape = (tensor.shape[0], *tensor.shape[2:]) if steps else tensor.shape
        return keras.KerasTensor(shape, dtype=tensor.dtype)

    given, made = of_step(node.inputs[0]), of_step(node.outputs[0])
    return Node(node.path, layer.layer, (given,), {}, (given,), (made,))


def _without_steps(axes: Axes) -> Axes:
    return (axes[0], *axes[2:])


def rules(find: Find) -> dict[str, Rule]:
    """Return the rules of the wrappers.

    Args:
        find: the rule of the layer inside.
    """

    def follow(call: Call, *, steps: bool) -> list[Layout]:
        if isinstance(call.operation.layer, keras.Model):
            return stays(call, "runs a model")
        layout = (
            call.fix(call.inputs[0], "runs along their axis", but=_all_but_steps(call))
            if steps
            else call.inputs[0]
        )
        for other in call.inputs[1:]:
            call.fix(other, "has no rule by which its channels could be followed")
        node = _inside(call.node, steps=steps)
        inner = layout.with_axes(_without_steps(layout.axes)) if steps else layout
        (made,) = find(node.operation).follow(Call(node, (inner,), call.walk, call.place, call.choice))
        return [made.with_axes((made.axes[0], None, *made.axes[1:])) if steps else made]

    def config(sizes: Sizes, node: Node, *, steps: bool) -> dict[str, Any]:
        inner = _inside(node, steps=steps)
        rule = find(inner.operation)
        if rule.config is None:
            return {}
        pairs = ((inner.inputs[0], node.inputs[0]), (inner.outputs[0], node.outputs[0]))
        others = {id(new): sizes.axes(old) for new, old in pairs}
        within = sizes.of_others(
            {key: _without_steps(axes) if steps else axes for key, axes in others.items()}
        )
        layer: Any = node.operation
        return {"layer": with_config(layer.get_config()["layer"], rule.config(within, inner))}

    def spectral(call: Call) -> list[Layout]:
        layer = call.operation
        before = len(call.walk.slices)
        made = follow(call, steps=False)
        for each in call.walk.slices[before:]:
            if each.variable is layer.kernel and each.axis == len(layer.kernel.shape) - 1:
                call.add(layer.vector_u, 1, each.units)
                break
        return made

    return {
        "TimeDistributed": Rule(
            lambda call: follow(call, steps=True), lambda sizes, node: config(sizes, node, steps=True)
        ),
        "SpectralNormalization": Rule(spectral, lambda sizes, node: config(sizes, node, steps=False)),
    }


def _all_but_steps(call: Call) -> list[int]:
    return [0, *range(2, len(call.inputs[0].axes))]
