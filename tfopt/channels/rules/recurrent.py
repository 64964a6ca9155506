"""Recurrent layers: a unit stands in each gate, and reads itself a step later."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from tfopt.channels.rule import Call, Layout, Rule, Sizes, stays, table
from tfopt.channels.rules.activations import is_elementwise, keeps_zero
from tfopt.graph import Node

GATES = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
"""A layer -> how often its units stand next to one another in its kernels."""


def _units(call: Call, layer: Any, layout: Layout, states: Sequence[Layout]) -> Layout:
    """Note the slices of a recurrent layer, and return the layout of its state.

    Args:
        call: of the layer, or of one around it.
        layer: recurrent.
        layout: of the sequence.
        states: that it begins with; none for zeros.
    """
    cell, gates = layer.cell, GATES[type(layer).__name__]
    units = call.fresh(cell.units)
    for state in states:
        units = call.unite(units, state.axes[-1], "begins with states of channels that stay")
    tiled = None if units is None else np.tile(units, gates)
    call.add(cell.kernel, 0, layout.axes[-1])
    call.add(cell.kernel, 1, tiled, made=True)
    call.add(cell.recurrent_kernel, 0, units)
    call.add(cell.recurrent_kernel, 1, tiled, made=True)
    call.add(cell.bias if cell.use_bias else None, -1, tiled, made=True)
    zero = keeps_zero(cell.activation) and all(state.zero for state in states)
    return Layout((None, units), zero)


def _refused(layer: Any) -> str | None:
    """Return why a layer cannot be followed; None where it can."""
    if type(layer).__name__ not in GATES or not type(layer).__module__.startswith("keras."):
        return "runs a cell that has no rule"
    if layer.stateful:
        return "keeps its state from one batch to the next"
    functions = (layer.cell.activation, getattr(layer.cell, "recurrent_activation", None))
    return None if all(map(is_elementwise, functions)) else "has an activation that is not one of Keras's"


def _given(call: Call) -> tuple[Layout, list[Layout]]:
    """Return the layouts of the sequence, and of the states that a layer begins with."""
    given = {**dict(zip(("sequences", "initial_state"), call.node.args, strict=False)), **call.node.kwargs}
    states = keras.tree.flatten(given.get("initial_state"))
    sequence = call.fix(call.layout(given["sequences"]), "runs along their axis", but=[-1])
    return sequence, [call.layout(state) for state in states if state is not None]


def _outputs(layer: Any, state: Layout, count: int) -> list[Layout]:
    """Return the layouts of what a layer returns: the sequence or its end, and states."""
    first = state.with_axes((None, None, state.axes[-1])) if layer.return_sequences else state
    return [first, *[state] * (count - 1)]


def _recurrent(call: Call) -> list[Layout]:
    layer = call.operation
    why = _refused(layer)
    if why is not None:
        return stays(call, why)
    sequence, states = _given(call)
    state = _units(call, layer, sequence, states)
    return _outputs(layer, state, len(call.node.outputs))


def _config(sizes: Sizes, node: Node) -> dict[str, Any]:
    layer: Any = node.operation
    return {} if _refused(layer) else {"units": sizes.shape(node.outputs[0])[-1]}


def _bidirectional(call: Call) -> list[Layout]:
    """Follow both directions, whose units go together: Keras takes them to be as many."""
    layer = call.operation
    both = layer.forward_layer, layer.backward_layer
    why = _refused(both[0]) or _refused(both[1])
    if why is not None or both[0].cell.units != both[1].cell.units:
        return stays(call, why or "has more units in one direction than in the other")
    sequence, states = _given(call)
    half = len(states) // 2
    forward, backward = (
        _units(call, each, sequence, part)
        for each, part in zip(both, (states[:half], states[half:]), strict=True)
    )
    units = call.unite(forward.axes[-1], backward.axes[-1], "runs in both directions, with units that stay")
    zero = any((forward.zero, backward.zero)) if layer.merge_mode == "mul" else forward.zero and backward.zero
    state = Layout((None, units), zero)
    merged = state
    if layer.merge_mode == "concat" and units is not None:
        merged = state.with_axes((None, np.concatenate([units, units])))
    sequences = 1 if layer.merge_mode else 2
    count = len(call.node.outputs)
    return [*_outputs(layer, merged, 1) * sequences, *[state] * (count - sequences)]


def _bidirectional_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    layer: Any = node.operation
    if _refused(layer.forward_layer) or _refused(layer.backward_layer):
        return {}
    width = sizes.shape(node.outputs[0])[-1]
    assert width is not None
    units = width // 2 if layer.merge_mode == "concat" else width
    config = layer.get_config()
    return {name: with_config(config[name], {"units": units}) for name in ("layer", "backward_layer")}


def with_config(serialized: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return a serialized layer with changes in its config."""
    new = copy.deepcopy(serialized)
    new["config"] |= changes
    return new


LAYERS = table(
    {
        "SimpleRNN GRU LSTM": Rule(_recurrent, _config),
        "Bidirectional": Rule(_bidirectional, _bidirectional_config),
    }
)
