"""Cells of recurrent layers: what is done to the inputs of all steps at once, and what in a step."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from tfopt.graph import Constant, NotSymbolic, Parts, as_array, decompose_call, inner_layers
from tfopt.quantization.canonicalize.decompose.recurrent_dropout import InputDropout, OwnGates

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

    def linear(
        self,
        name: str,
        kind: str,
        kernel: Any,
        bias: Any,
        make: type[keras.Layer] = keras.layers.Dense,
        **config: Any,
    ) -> keras.Layer:
        """Return a layer with a kernel of the cell: `kind` is `kernel` or `recurrent`."""
        cell = self.cell
        return self(
            name,
            make,
            kernel.shape[-1],
            **config,
            use_bias=bias is not None,
            kernel_regularizer=getattr(cell, f"{kind}_regularizer"),
            kernel_constraint=getattr(cell, f"{kind}_constraint"),
            bias_regularizer=cell.bias_regularizer,
            bias_constraint=cell.bias_constraint,
            trainable=cell.trainable,
            weights=[kernel] if bias is None else [kernel, bias],
        )


Step: TypeAlias = Callable[[Tensor, list[Tensor | None]], tuple[Tensor, list[Tensor]]]
"""Returns the output of a step and the states after it.

Takes the projected input of the step, and the states before it, `None` for zero; before them the first
one as dropout left it.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """What a cell computes.

    Attributes:
        project: what is done to the sequence, `(batch, steps, ...)`, before the loop.
        step: what happens in a step.
        states: how many states there are.
        initial: the states before the first step, of shape `(1, ...)`; None where they are zero, and `step`
            takes None for them.
        output_is_state: whether the output is the first state.
        recurrent_dropout: the share of the first state that is dropped in training.
        recurrent_gates: for how many gates that is done anew.
    """

    project: Callable[[Tensor], Tensor]
    step: Step
    states: int
    initial: Sequence[np.ndarray] | None = None
    output_is_state: bool = True
    recurrent_dropout: float = 0.0
    recurrent_gates: int = 1


def cell_of(parts: Parts, prefix: str, cell: Any) -> Cell | None:
    """Return what a cell computes; None where no rule is known, and its code cannot be read.

    Args:
        parts: the layers of the recurrent layer.
        prefix: what the names of the cell's layers begin with.
        cell: of a recurrent layer: one of Keras's, or a layer that users wrote.
    """
    if not isinstance(cell, keras.Layer) or not cell.built:
        return None
    if not type(cell).__module__.startswith("keras."):
        return _of_code(parts, cell)
    make = _CELLS.get(type(cell).__name__)
    return None if make is None else make(_Scope(parts, prefix, cell), cell)


def _columns(array: Any, units: int, order: tuple[int, ...]) -> np.ndarray:
    """Return an array's blocks of `units` columns in another order."""
    array = as_array(array)
    return np.concatenate([array[..., gate * units : (gate + 1) * units] for gate in order], axis=-1)


def _with_dropout(
    scope: _Scope, project: Callable[[Tensor], Tensor], step: Step, states: int, gates: int = 1
) -> Cell:
    """Return a cell, for which training drops units of the input, the same in all steps.

    Args:
        scope, project, step, states: of the cell.
        gates: for how many gates it draws a mask each, in the order of what the input is projected to.
    """
    rate = scope.cell.dropout

    def projected(x: Tensor) -> Tensor:
        same_in_all_steps = (None, 1, *(None for _ in x.shape[2:]))
        y = project(scope("dropout", InputDropout, rate, gates, noise_shape=same_in_all_steps)(x))
        return y if gates == 1 else scope("own_gates", OwnGates, gates)(y)

    return Cell(
        project=projected if rate else project,
        step=step,
        states=states,
        recurrent_dropout=scope.cell.recurrent_dropout,
        recurrent_gates=gates,
    )


def _masks(cell: Any, gates: int) -> int:
    """Return how many masks of dropout a cell draws: one a gate, or one for them together."""
    return 1 if getattr(cell, "implementation", 1) == 2 else gates


def _own_gates(scope: _Scope, masks: int) -> Callable[..., Tensor]:
    """Return what keeps of a state's gates those that the masks of dropout were for; see `OwnGates`."""

    def kept(name: str, x: Tensor, *which: int) -> Tensor:
        if masks == 1 or not scope.cell.recurrent_dropout:
            return x
        return scope(name, OwnGates, masks, *which)(x)

    return kept


_ORDER = (0, 1, 3, 2)
"""Keras's gates i, f, c, o as i, f, o, c."""


def _lstm(scope: _Scope, cell: Any) -> Cell:
    """Hochreiter and Schmidhuber 1997, with a forget gate."""
    kernel, recurrent = (_columns(x, cell.units, _ORDER) for x in (cell.kernel, cell.recurrent_kernel))
    bias = None if cell.bias is None else _columns(cell.bias, cell.units, _ORDER)
    project = scope.linear("input", "kernel", kernel, bias)
    recur = scope.linear("recurrent", "recurrent", recurrent, None)
    return _of_gates(scope, cell.units, project, recur)


def _conv_lstm(scope: _Scope, cell: Any) -> Cell | None:
    """Shi et al. 2015 (arXiv 1506.04214), without peepholes."""
    make = {1: keras.layers.Conv1D, 2: keras.layers.Conv2D}.get(cell.rank)
    if make is None or cell.data_format == "channels_first":
        return None
    kernel, recurrent = (_columns(x, cell.filters, _ORDER) for x in (cell.kernel, cell.recurrent_kernel))
    bias = None if cell.bias is None else _columns(cell.bias, cell.filters, _ORDER)
    convolve = scope.linear(
        "input",
        "kernel",
        kernel,
        bias,
        make,
        kernel_size=cell.kernel_size,
        strides=cell.strides,
        padding=cell.padding,
        dilation_rate=cell.dilation_rate,
    )
    recur = scope.linear(
        "recurrent", "recurrent", recurrent, None, make, kernel_size=cell.kernel_size, padding="same"
    )

    def project(x: Tensor) -> Tensor:
        y = convolve(ops.reshape(x, (-1, *x.shape[2:])))
        return ops.reshape(y, (-1, x.shape[1], *y.shape[1:]))

    return _of_gates(scope, cell.filters, project, recur)


def _of_gates(
    scope: _Scope, units: int, project: Callable[[Tensor], Tensor], recur: Callable[[Tensor], Tensor]
) -> Cell:
    """Return a cell with the gates of an LSTM, whatever makes them of the input and the state."""
    cell = scope.cell
    masks = _masks(cell, 4)
    own = _own_gates(scope, masks)

    def step(x: Tensor, states: list[Tensor | None]) -> tuple[Tensor, list[Tensor]]:
        held, _, carried = states
        z = x
        if held is not None:
            z = scope.add("sum", x, own("own_recurrent_gates", recur(held)))
        gates, candidate = ops.split(z, [3 * units], axis=-1)
        gates = scope.activated("gates", cell.recurrent_activation, gates)
        candidate = scope.activated("candidate", cell.activation, candidate)
        if carried is None:
            # Slices, for the converter leaves a split in float of which a part is not read.
            exit_ = gates[..., 2 * units :]
            carried = scope.multiply("entered", gates[..., :units], candidate)
        else:
            entrance, forget, exit_ = ops.split(gates, 3, axis=-1)
            kept = scope.multiply("kept", forget, carried)
            carried = scope.add("carry", kept, scope.multiply("entered", entrance, candidate))
        output = scope.multiply("output", exit_, scope.activated("squashed", cell.activation, carried))
        return output, [output, carried]

    return _with_dropout(scope, project, step, 2, masks)


def _gru(scope: _Scope, cell: Any) -> Cell:
    """Cho et al. 2014 (arXiv 1406.1078); with `reset_after` as cuDNN computes it."""
    gates = 2 * cell.units
    bias, held_bias = cell.bias, None
    if bias is not None and cell.reset_after:
        bias, held_bias = as_array(bias)
    project = scope.linear("input", "kernel", cell.kernel, bias)
    kernel = as_array(cell.recurrent_kernel)
    if cell.reset_after:
        recur = scope.linear("recurrent", "recurrent", kernel, held_bias)
    else:
        recur = scope.linear("recurrent", "recurrent", kernel[:, :gates], None)
        recur_reset = scope.linear("recurrent_reset", "recurrent", kernel[:, gates:], None)
    masks = _masks(cell, 3)
    own = _own_gates(scope, masks)

    def step(x: Tensor, states: list[Tensor | None]) -> tuple[Tensor, list[Tensor]]:
        held, before = states
        x_gates, x = ops.split(x, [gates], axis=-1)
        past = None
        if held is not None and cell.reset_after:
            held_gates, past = ops.split(own("own_recurrent_gates", recur(held)), [gates], axis=-1)
            x_gates = scope.add("gate_sum", x_gates, held_gates)
        elif held is not None:
            x_gates = scope.add("gate_sum", x_gates, own("own_recurrent_gates", recur(held), 0, 2))
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
            past = recur_reset(scope.multiply("reset", reset, own("own_state", held, 2, 1)))
        x = x if past is None else scope.add("sum", x, past)
        candidate = scope.activated("candidate", cell.activation, x)
        if before is None:
            kept = scope.multiply("kept", update, candidate)
            output = scope("first_output", keras.layers.Subtract)([candidate, kept])
        else:
            moved = scope("moved", keras.layers.Subtract)([before, candidate])
            output = scope.add("output", candidate, scope.multiply("kept", update, moved))
        return output, [output]

    return _with_dropout(scope, project, step, 1, masks)


def _simple(scope: _Scope, cell: Any) -> Cell:
    """Elman 1990."""
    project = scope.linear("input", "kernel", cell.kernel, cell.bias)
    recur = scope.linear("recurrent", "recurrent", cell.recurrent_kernel, None)

    def step(x: Tensor, states: list[Tensor | None]) -> tuple[Tensor, list[Tensor]]:
        z = x if states[0] is None else scope.add("sum", x, recur(states[0]))
        output = scope.activated("output", cell.activation, z)
        return output, [output]

    return _with_dropout(scope, project, step, states=1)


def _of_code(parts: Parts, cell: Any) -> Cell | None:
    """Return what the code of a user's cell computes: all of it in each step.

    Raises:
        NotSymbolic: the code of its `get_initial_state` fails, or gives samples different states.
    """
    if any(isinstance(layer, keras.layers.RNN) for layer in inner_layers(cell)):
        return None  # a loop in a loop
    initial = _initial_states(cell)

    def step(x: Tensor, states: list[Tensor | None]) -> tuple[Tensor, list[Tensor]]:
        output, after = decompose_call(parts, cell, x, states[1:])
        return output, keras.tree.flatten(after)

    return Cell(project=lambda x: x, step=step, states=len(initial), initial=initial, output_is_state=False)


def _initial_states(cell: Any) -> list[np.ndarray]:
    make = getattr(cell, "get_initial_state", None)
    if make is None:
        sizes = keras.tree.flatten(cell.state_size)
        return [np.zeros((1, size), cell.compute_dtype) for size in sizes]
    try:
        arrays = [as_array(state) for state in keras.tree.flatten(make(batch_size=2))]
    except Exception as error:
        raise NotSymbolic(f"get_initial_state of its cell fails: {type(error).__name__}: {error}") from error
    if not all(len(array) == 2 and np.array_equal(*array) for array in arrays):
        raise NotSymbolic("get_initial_state of its cell does not give each sample the same states")
    return [array[:1] for array in arrays]


_CELLS: dict[str, Callable[[_Scope, Any], Cell | None]] = {
    "LSTMCell": _lstm,
    "GRUCell": _gru,
    "SimpleRNNCell": _simple,
    "ConvLSTMCell": _conv_lstm,
}
"""The name of a cell of Keras -> what it computes."""
