"""Recurrent layers: one Dense layer on all inputs at once, and a loop with one on the state.

A file holds each kernel once and the steps of the loop one after another: the loop itself has no form in
integers.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from tfopt.errors import UnsupportedOperation
from tfopt.graph import (
    ActivityPenalty,
    Constant,
    Loss,
    Parts,
    Program,
    Recurrence,
    as_array,
    penalties,
    with_losses,
)
from tfopt.quantization.recurrent_dropout import RecurrentDropout

Tensor: TypeAlias = keras.KerasTensor


@dataclasses.dataclass(frozen=True)
class _Scope:
    """Where a cell puts its layers: the same ones in each step."""

    parts: Parts
    prefix: str
    cell: Any

    def __call__(self, name: str, make: Callable[..., keras.Layer], *args: Any, **config: Any) -> keras.Layer:
        return self.parts(self.prefix + name, make, *args, dtype=self.cell.dtype_policy, **config)

    def add(self, name: str, *tensors: Tensor) -> Tensor:
        return self(name, keras.layers.Add)(list(tensors))

    def multiply(self, name: str, *tensors: Tensor) -> Tensor:
        return self(name, keras.layers.Multiply)(list(tensors))

    def activated(self, name: str, function: Any, x: Tensor) -> Tensor:
        return self(name, keras.layers.Activation, function)(x)

    def dense(self, name: str, kind: str, kernel: Any, bias: Any) -> keras.Layer:
        """Return a Dense layer with a kernel of the cell: `kind` is `kernel` or `recurrent`."""
        cell = self.cell
        return self(
            name,
            keras.layers.Dense,
            kernel.shape[1],
            use_bias=bias is not None,
            kernel_regularizer=getattr(cell, f"{kind}_regularizer"),
            kernel_constraint=getattr(cell, f"{kind}_constraint"),
            bias_regularizer=cell.bias_regularizer,
            bias_constraint=cell.bias_constraint,
            trainable=cell.trainable,
            weights=[kernel] if bias is None else [kernel, bias],
        )


Step: TypeAlias = Callable[[Tensor, list[Tensor | None]], list[Tensor]]
"""Returns the states behind a step, output first.

Takes the projected input of the step, and the states before it, in front of them the first one as dropout
left it; `None` for zero.
"""


def recurrent(
    parts: Parts,
    layer: Any,
    sequences: Tensor,
    initial_state: Any = None,
    mask: Any = None,
) -> Any:
    """Open LSTM, GRU, SimpleRNN, and RNN over their cells; None for cells without a rule.

    Raises:
        UnsupportedOperation: the layer keeps its state from batch to batch, or the number of steps is not
            known.
    """
    looped = _looped(parts, "", layer, sequences, initial_state, mask, in_order=False)
    if looped is None:
        return None
    output, states = looped
    return (output, *states) if layer.return_state else output


def bidirectional(
    parts: Parts,
    layer: Any,
    sequences: Tensor,
    initial_state: Any = None,
    mask: Any = None,
) -> Any:
    """Open a Bidirectional layer."""
    given: list[Any] = [None, None]
    if initial_state is not None:
        half = len(initial_state) // 2
        given = [list(initial_state[:half]), list(initial_state[half:])]
    inner = layer.forward_layer, layer.backward_layer
    ways = [
        _one_way(parts, prefix, each, sequences, state, mask)
        for prefix, each, state in zip(("forward_", "backward_"), inner, given, strict=True)
    ]
    if ways[0] is None or ways[1] is None:
        return None
    (forward, forward_states), (backward, backward_states) = ways[0], ways[1]
    both = [forward, backward]
    merge = _MERGES.get(layer.merge_mode)
    output = tuple(both) if merge is None else parts("merge", merge)(both)
    if not layer.return_state:
        return output
    return (*(output if merge is None else (output,)), *forward_states, *backward_states)


def _one_way(
    parts: Parts, prefix: str, layer: Any, sequences: Tensor, initial_state: Any, mask: Any
) -> tuple[Tensor, list[Any]] | None:
    """Return the output and the last states of one of the two layers, which may have a penalty of its own."""
    looped = _looped(parts, prefix, layer, sequences, initial_state, mask, in_order=True)
    if looped is None or layer.activity_regularizer is None:
        return looped
    output, states = looped
    penalty = parts(f"{prefix}activity_regularizer", ActivityPenalty, layer.activity_regularizer)
    losses = penalties((output, states) if layer.return_state else output, penalty)
    return with_losses(output, [Loss(each) for each in losses]), states


_MERGES: dict[str, type[keras.Layer]] = {
    "concat": keras.layers.Concatenate,
    "sum": keras.layers.Add,
    "ave": keras.layers.Average,
    "mul": keras.layers.Multiply,
}


def _looped(
    parts: Parts, prefix: str, layer: Any, sequences: Tensor, initial_state: Any, mask: Any, *, in_order: bool
) -> tuple[Tensor, list[Any]] | None:
    """Return the output and the last states of a layer; `in_order`, whether in the order of time."""
    single = not isinstance(layer.cell, keras.layers.StackedRNNCells)
    cells = [layer.cell] if single else layer.cell.cells
    if any(type(cell).__name__ not in _CELLS or not _known(cell) for cell in cells):
        return None
    if layer.stateful:
        raise UnsupportedOperation(
            f"The layer {layer.name!r} keeps its state from batch to batch, a TFLite file does not: make it "
            "with stateful=False, the state an input (initial_state) and an output (return_state=True)."
        )
    if sequences.shape[1] is None:
        raise UnsupportedOperation(
            f"The layer {layer.name!r} is unrolled step by step, and its sequences have no fixed length: "
            "fix it with input_shapes=, such as input_shapes=(20, 8), or build the model with one, such as "
            "keras.Input((20, 8))."
        )
    if initial_state is not None and not isinstance(initial_state, (list, tuple)):
        initial_state = [initial_state]
    if initial_state is not None and single:
        initial_state = [initial_state]
    x = sequences
    last: list[list[Tensor]] = []
    for number, cell in enumerate(cells):
        scope = _Scope(parts, prefix if single else f"{prefix}cell_{number}_", cell)
        given = None if initial_state is None else keras.tree.flatten(initial_state[number])
        behind = number + 1 == len(cells)
        x, states = _loop(
            scope,
            x,
            given,
            mask,
            zero_masked=layer.zero_output_for_mask,
            return_sequences=layer.return_sequences or not behind,
            backwards=layer.go_backwards,
            in_order=in_order or not behind,
        )
        last.append(states)
    return x, last[0] if single else last


def _loop(
    scope: _Scope, x: Tensor, given: list[Tensor] | None, mask: Any, *, zero_masked: bool, **settings: bool
) -> tuple[Tensor, list[Tensor]]:
    """Return the output and the last states of a cell on a sequence."""
    cell = scope.cell
    if cell.dropout:
        x = scope("dropout", keras.layers.SpatialDropout1D, cell.dropout)(x)
    project, step = _CELLS[type(cell).__name__](scope, cell)
    read = [project(x), *([] if mask is None else [ops.expand_dims(mask, -1)])]
    count = len(keras.tree.flatten(cell.state_size))
    # Masked steps repeat the output before; that is the state, unless there is one before the first step.
    repeated = mask is not None and not zero_masked and given is not None
    settings_ = {"zero_masked": zero_masked, "repeated": repeated}
    states = [None] * count if given is None else given
    first = None
    # Where the state before the first step is zero, what would be done to it is left out.
    if given is None or repeated:
        first, (_, *states) = _program(scope, step, read, states, **settings_)
    body = None
    if x.shape[1] > 1 or first is None:
        body, _ = _program(scope, step, read, states, **settings_)
    number = scope.parts.names[f"{scope.prefix}loop"]
    scope.parts.names[f"{scope.prefix}loop"] += 1
    name = f"{scope.prefix}loop" + (f"_{number}" if number else "")
    loop = Recurrence(body, first, x.shape[1], len(read), **settings, name=name, dtype=cell.dtype_policy)
    output, *behind = loop([*read, *([] if given is None else given)])
    return output, behind[:count]


def _program(
    scope: _Scope,
    step: Step,
    read: list[Tensor],
    states: list[Tensor | None],
    *,
    zero_masked: bool,
    repeated: bool,
) -> tuple[Program, list[Tensor]]:
    """Return what happens in a step, and its output and states.

    Args:
        scope, step: the cell.
        read: the sequences: what the cell reads, and the mask where there is one.
        states: of the shapes and dtypes of those before the step; `None` for zero. Behind those of the cell
            may stand the output of the step before.
        zero_masked: whether the output of a masked step is zero.
        repeated: whether the output is to stand behind the states.
    """
    batch = read[0].shape[0]
    slices = [keras.Input(batch_shape=(batch, *x.shape[2:]), dtype=x.dtype) for x in read]
    given = [
        None if x is None else keras.Input(batch_shape=(batch, *x.shape[1:]), dtype=x.dtype) for x in states
    ]
    count = len(keras.tree.flatten(scope.cell.state_size))
    before, past = given[:count], given[count:]
    held = before[0]
    if scope.cell.recurrent_dropout and held is not None:
        held = scope("recurrent_dropout", RecurrentDropout, scope.cell.recurrent_dropout)(held)
    after = step(slices[0], [held, *before])
    output = after[0]
    if len(slices) > 1:
        after = [_chosen(slices[1], *pair) for pair in zip(after, before, strict=True)]
        if zero_masked or repeated:
            output = _chosen(slices[1], output, past[0] if past else None)
        else:
            output = after[0]
    made = [output, *after, *([output] if repeated else [])]
    return Program.of([*slices, *(x for x in given if x is not None)], made), made


def _chosen(counts: Tensor, now: Tensor, before: Tensor | None) -> Tensor:
    """Return `now` where a step counts, and where it is masked what was `before`; `None` for zero."""
    return ops.where(counts, now, 0.0 if before is None else before)


def _known(cell: Any) -> bool:
    return type(cell).__module__.startswith("keras.") and cell.built


def _columns(array: Any, units: int, order: tuple[int, ...]) -> np.ndarray:
    """Return an array's blocks of `units` columns in another order."""
    array = as_array(array)
    return np.concatenate([array[..., gate * units : (gate + 1) * units] for gate in order], axis=-1)


def _lstm(scope: _Scope, cell: Any) -> tuple[keras.Layer, Step]:
    """Hochreiter and Schmidhuber 1997, with a forget gate; Keras's gates i, f, c, o as i, f, o, c."""
    units, order = cell.units, (0, 1, 3, 2)
    bias = None if cell.bias is None else _columns(cell.bias, units, order)
    project = scope.dense("input", "kernel", _columns(cell.kernel, units, order), bias)
    recur = scope.dense("recurrent", "recurrent", _columns(cell.recurrent_kernel, units, order), None)

    def step(x: Tensor, states: list[Tensor | None]) -> list[Tensor]:
        held, _, carried = states
        z = x if held is None else scope.add("sum", x, recur(held))
        gates, candidate = ops.split(z, [3 * units], axis=-1)
        gates = scope.activated("gates", cell.recurrent_activation, gates)
        candidate = scope.activated("candidate", cell.activation, candidate)
        if carried is None:
            # Slices, for the converter leaves a split in float of which a part is not read.
            exit_ = gates[:, 2 * units :]
            carried = scope.multiply("entered", gates[:, :units], candidate)
        else:
            entrance, forget, exit_ = ops.split(gates, 3, axis=-1)
            kept = scope.multiply("kept", forget, carried)
            carried = scope.add("carry", kept, scope.multiply("entered", entrance, candidate))
        output = scope.activated("squashed", cell.activation, carried)
        return [scope.multiply("output", exit_, output), carried]

    return project, step


def _gru(scope: _Scope, cell: Any) -> tuple[keras.Layer, Step]:
    """Cho et al. 2014 (arXiv 1406.1078); with `reset_after` the form of cuDNN."""
    gates = 2 * cell.units
    bias, held_bias = cell.bias, None
    if bias is not None and cell.reset_after:
        bias, held_bias = as_array(bias)
    project = scope.dense("input", "kernel", cell.kernel, bias)
    kernel = as_array(cell.recurrent_kernel)
    if cell.reset_after:
        recur = scope.dense("recurrent", "recurrent", kernel, held_bias)
    else:
        recur = scope.dense("recurrent", "recurrent", kernel[:, :gates], None)
        recur_reset = scope.dense("recurrent_reset", "recurrent", kernel[:, gates:], None)

    def step(x: Tensor, states: list[Tensor | None]) -> list[Tensor]:
        held, before = states
        x_gates, x = ops.split(x, [gates], axis=-1)
        past = None
        if held is not None and cell.reset_after:
            held_gates, past = ops.split(recur(held), [gates], axis=-1)
            x_gates = scope.add("gate_sum", x_gates, held_gates)
        elif held is not None:
            x_gates = scope.add("gate_sum", x_gates, recur(held))
        elif held_bias is not None:
            # Of no state, the layer on the state leaves its bias, here as constants.
            first, past = (
                scope.parts(f"{scope.prefix}first_{name}", Constant.of, bias[None])(x)
                for name, bias in (("gates", held_bias[:gates]), ("candidate", held_bias[gates:]))
            )
            x_gates = scope.add("gate_sum", x_gates, first)
        z = scope.activated("gates", cell.recurrent_activation, x_gates)
        if held is None:
            # Slices, for the converter leaves a split in float of which a part is not read, or times zero.
            update, reset = z[:, : cell.units], z[:, cell.units :]
        else:
            update, reset = ops.split(z, 2, axis=-1)
        if past is not None:
            past = scope.multiply("reset", reset, past)
        elif held is not None:
            past = recur_reset(scope.multiply("reset", reset, held))
        x = x if past is None else scope.add("sum", x, past)
        candidate = scope.activated("candidate", cell.activation, x)
        if before is None:
            kept = scope.multiply("kept", update, candidate)
            return [scope("first_output", keras.layers.Subtract)([candidate, kept])]
        moved = scope("moved", keras.layers.Subtract)([before, candidate])
        return [scope.add("output", candidate, scope.multiply("kept", update, moved))]

    return project, step


def _simple(scope: _Scope, cell: Any) -> tuple[keras.Layer, Step]:
    """Elman 1990."""
    project = scope.dense("input", "kernel", cell.kernel, cell.bias)
    recur = scope.dense("recurrent", "recurrent", cell.recurrent_kernel, None)

    def step(x: Tensor, states: list[Tensor | None]) -> list[Tensor]:
        z = x if states[0] is None else scope.add("sum", x, recur(states[0]))
        return [scope.activated("output", cell.activation, z)]

    return project, step


_CELLS: dict[str, Callable[[_Scope, Any], tuple[keras.Layer, Step]]] = {
    "LSTMCell": _lstm,
    "GRUCell": _gru,
    "SimpleRNNCell": _simple,
}
"""The name of a cell -> its layer on the inputs, and what it does in a step."""
