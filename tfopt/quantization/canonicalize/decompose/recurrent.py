"""Recurrent layers: one linear layer on all inputs at once, and a loop with one on the state.

A file holds each kernel once and the steps of the loop one after another: the loop itself cannot be written
in integers.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
from keras import ops

from tfopt.errors import UnsupportedOperation
from tfopt.graph import (
    ActivityPenalty,
    Constant,
    Loss,
    NotSymbolic,
    OverBatch,
    Parts,
    Program,
    Recurrence,
    penalties,
    with_losses,
)
from tfopt.quantization.canonicalize.decompose.recurrent_cells import Cell, cell_of
from tfopt.quantization.canonicalize.decompose.recurrent_dropout import RecurrentDropout

Tensor: TypeAlias = keras.KerasTensor


def recurrent(
    parts: Parts,
    layer: Any,
    sequences: Tensor,
    initial_state: Any = None,
    mask: Any = None,
) -> Any:
    """Decompose LSTM, GRU, SimpleRNN, ConvLSTM, and RNN over their cells or over users'.

    None for cells without a rule.

    Raises:
        UnsupportedOperation: the layer keeps its state from batch to batch, or the number of steps is not
            known.
        NotSymbolic: the code of a user's cell cannot be read.
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
    """Decompose a Bidirectional layer."""
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
    prefixes = [prefix if single else f"{prefix}cell_{number}_" for number in range(len(cells))]
    found = [cell_of(parts, each, cell) for each, cell in zip(prefixes, cells, strict=True)]
    decomposed = [cell for cell in found if cell is not None]
    if len(decomposed) < len(cells):
        return None
    if layer.stateful:
        raise UnsupportedOperation(
            f"The layer {layer.name!r} keeps its state from batch to batch, a TFLite file does not: build it "
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
    for number, cell in enumerate(decomposed):
        loop = _Loop(parts, prefixes[number], cell, cells[number].dtype_policy)
        is_last = number + 1 == len(cells)
        x, states = loop(
            x,
            None if initial_state is None else keras.tree.flatten(initial_state[number]),
            mask,
            zero_masked=layer.zero_output_for_mask,
            return_sequences=layer.return_sequences or not is_last,
            backwards=layer.go_backwards,
            in_order=in_order or not is_last,
        )
        last.append(states)
    return x, last[0] if single else last


class _Loop:
    """A cell on a sequence.

    Args:
        parts: the layers of the recurrent layer.
        prefix: what the names of the cell's layers begin with.
        cell: what it computes.
        dtype: its dtype policy.
    """

    def __init__(self, parts: Parts, prefix: str, cell: Cell, dtype: Any) -> None:
        self._parts, self._prefix, self._cell, self._dtype = parts, prefix, cell, dtype

    def __call__(
        self, x: Tensor, given: list[Tensor] | None, mask: Any, *, zero_masked: bool, **settings: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the output and the last states.

        Args:
            x: the sequence.
            given: the states before the first step; None for those of the cell.
            mask: whether steps count, `(batch, steps, ...)`, or None.
            zero_masked: whether the output of a masked step is zero.
            settings: of the `Recurrence`.
        """
        cell = self._cell
        read = [cell.project(x)]
        if mask is not None:
            read.append(mask if len(mask.shape) > 2 else ops.expand_dims(mask, -1))
        if given is None and cell.initial is not None:
            given = [self._before_first(number, each, x) for number, each in enumerate(cell.initial)]
        # Masked steps repeat the output before; that is the state, unless there is one before the first step.
        repeated = mask is not None and not zero_masked and (given is not None or not cell.output_is_state)
        settings_ = {"zero_masked": zero_masked, "repeated": repeated}
        states = [None] * cell.states if given is None else given
        first = None
        # Where the state before the first step is zero, what would be done to it is left out.
        if given is None or repeated:
            first, (_, *states) = self._program(read, states, **settings_)
        body = None
        if x.shape[1] > 1 or first is None:
            body, _ = self._program(read, states, **settings_)
        loop = Recurrence(
            body, first, x.shape[1], len(read), **settings, name=self._name(), dtype=self._dtype
        )
        output, *last_states = loop([*read, *([] if given is None else given)])
        return output, last_states[: cell.states]

    def _name(self) -> str:
        name = f"{self._prefix}loop"
        number = self._parts.names[name]
        self._parts.names[name] += 1
        return name + (f"_{number}" if number else "")

    def _before_first(self, number: int, rows: Any, x: Tensor) -> Tensor:
        """Return the n-th state before the first step, for each sample of `x`."""
        name = f"{self._prefix}state_{number}"
        constant = self._parts(name, Constant.of, rows)(x)
        return self._parts(f"{name}_over_batch", OverBatch, dtype=constant.dtype)([constant, x])

    def _program(
        self, read: list[Tensor], states: list[Tensor | None], *, zero_masked: bool, repeated: bool
    ) -> tuple[Program, list[Tensor]]:
        """Return what happens in a step, and its output and states.

        Args:
            read: the sequences: what the cell reads, and the mask where there is one.
            states: of the shapes and dtypes of those before the step; `None` for zero. Those of the cell may
                be followed by the output of the step before.
            zero_masked: whether the output of a masked step is zero.
            repeated: whether the output follows the states.
        """
        batch = read[0].shape[0]
        slices = [keras.Input(batch_shape=(batch, *x.shape[2:]), dtype=x.dtype) for x in read]
        given = [
            None if x is None else keras.Input(batch_shape=(batch, *x.shape[1:]), dtype=x.dtype)
            for x in states
        ]
        count, dropped = self._cell.states, self._cell.recurrent_dropout
        before, past = given[:count], given[count:]
        held = before[0] if before else None
        if dropped and held is not None:
            name = f"{self._prefix}recurrent_dropout"
            gates = self._cell.recurrent_gates
            held = self._parts(name, RecurrentDropout, dropped, gates, dtype=self._dtype)(held)
        output, after = self._cell.step(slices[0], [held, *before])
        if len(slices) > 1:
            after = [_chosen(slices[1], *pair) for pair in zip(after, before, strict=True)]
            if zero_masked or repeated:
                output = _chosen(slices[1], output, past[0] if past else None)
            else:
                output = after[0]
        results = [output, *after, *([output] if repeated else [])]
        return Program.of([*slices, *(x for x in given if x is not None)], results), results


def _chosen(counts: Tensor, now: Tensor, before: Tensor | None) -> Tensor:
    """Return `now` where a step counts, and where it is masked what was `before`; `None` for zero.

    Raises:
        NotSymbolic: the mask is of parts of the input that the output does not have.
    """
    if any(size not in (1, other) for size, other in zip(counts.shape[1:], now.shape[1:], strict=False)):
        raise NotSymbolic(f"its mask, {counts.shape}, is none of its outputs, {now.shape}")
    while len(counts.shape) < len(now.shape):
        counts = ops.expand_dims(counts, -1)
    return ops.where(counts, now, 0.0 if before is None else before)
