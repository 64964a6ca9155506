"""Operations on single elements: what stands at one place of their operands goes together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.channels.rule import Call, Layout, Rule, Sizes, stays, table
from tfopt.channels.rules.activations import FUNCTIONS, activated, at_zero
from tfopt.graph import Node, as_array

Zero = Callable[[Sequence[bool]], bool]
"""Returns whether a function is zero where some of its operands are, of each of which it is told."""


def _first(zeros: Sequence[bool]) -> bool:
    return zeros[0]


def _values(zeros: Sequence[bool]) -> bool:
    """Of a choice: the first operand is the condition."""
    return all(zeros[1:])


def _never(_: Sequence[bool]) -> bool:
    return False


_ARRAYS = (np.ndarray, tf.Tensor)


def _operands(node: Node) -> list[Any]:
    """Return the tensors, variables, arrays and numbers that an operation is called with, in order."""
    kinds = (keras.KerasTensor, keras.Variable, *_ARRAYS, bool, int, float, np.number)
    return [x for x in keras.tree.flatten((node.args, node.kwargs)) if isinstance(x, kinds)]


def _axes_under(axes: Sequence[Any], rank: int, batched: bool) -> Iterator[tuple[int, Any]]:
    """Yield (axis of the result, axis of an operand).

    Args:
        axes: of the operand.
        rank: of the result.
        batched: whether the first axes are the batch, as in Keras's merging layers; otherwise the last axes
            stand under one another.
    """
    missing = rank - len(axes)
    for axis, each in enumerate(axes):
        yield (0 if batched and axis == 0 else axis + missing), each


def joined(call: Call, zero: Zero, *, batched: bool = False) -> list[Layout]:
    """Return the layout of the output of a call that computes with single elements of its operands.

    Arrays among these are cut where they are as long as an axis with units.

    Args:
        call: of such an operation.
        zero: tells whether the result is zero.
        batched: see `_axes_under`.
    """
    shape = call.node.outputs[0].shape
    axes: list[np.ndarray | None] = [None] * len(shape)
    staying: set[int] = set()
    zero_along: list[set[int]] = []  # of each operand, the axes along which it is zero where units are
    for operand in _operands(call.node):
        if not isinstance(operand, keras.KerasTensor):
            zero_along.append(set() if np.any(as_array(operand)) else {*range(len(shape))})
        if np.isscalar(operand):
            continue
        layout = call.layout(operand)
        units_at = dict(_axes_under(layout.axes, len(shape), batched))
        if isinstance(operand, keras.KerasTensor):
            having = {axis for axis, units in units_at.items() if units is not None}
            zero_along.append(having if layout.zero else set())
        for axis, size in _axes_under(operand.shape, len(shape), batched):
            units = units_at[axis]
            if units is not None and size == 1 != shape[axis]:
                call.units.fix(units, f"{call.name} repeats it for channels of others")
            elif units is not None:
                axes[axis] = units if axes[axis] is None else call.unite(axes[axis], units)
            elif size != 1 and isinstance(operand, (keras.KerasTensor, keras.Variable)):
                staying.add(axis)
    for axis in staying:
        axes[axis] = call.unite(axes[axis], None)
    having = {axis for axis, units in enumerate(axes) if units is not None}
    zeros = [zero([axis in along for along in zero_along]) for axis in having]
    return [Layout(tuple(axes), all(zeros))] * len(call.node.outputs)


def _cut_arrays(sizes: Sizes, node: Node, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict]:
    """Return arguments in which arrays have the length of the axes that they stand under."""
    axes = sizes.axes(node.outputs[0])

    def cut(value: Any) -> Any:
        if not isinstance(value, _ARRAYS):
            return value
        array = as_array(value)
        for own, (axis, size) in enumerate(_axes_under(array.shape, len(axes), batched=False)):
            units = axes[axis]
            if units is not None and size != 1:
                array = np.compress(sizes.kept(units), array, own)
        return array if isinstance(value, np.ndarray) else tf.constant(array)

    return keras.tree.map_structure(cut, (args, kwargs))


def _merging(zero: Zero) -> Rule:
    return Rule(lambda call: joined(call, zero, batched=True))


def _operation(zero: Zero) -> Rule:
    return Rule(lambda call: joined(call, zero), arguments=_cut_arrays)


def _function(call: Call) -> list[Layout]:
    """Follow an operation of one operand, whose value at zero says what becomes of zeros."""
    (layout,) = joined(call, _first)
    if layout.fixed:
        return [layout]
    if any(isinstance(each, _ARRAYS) and np.size(each) > 1 for each in vars(call.operation).values()):
        return stays(call, "has a number for each of them")
    value = at_zero(call.operation)
    for units in layout.axes:
        if units is not None and not np.isfinite(value):
            call.units.make_inexact(units)
    return [layout.with_axes(layout.axes, layout.zero and value == 0)]


def _power(call: Call) -> list[Layout]:
    exponent = call.node.args[1] if len(call.node.args) > 1 else None
    return joined(call, _first if isinstance(exponent, (int, float)) and exponent > 0 else _never)


def _activation(call: Call) -> list[Layout]:
    return [activated(call, call.inputs[0], call.operation.activation)]


def _same(call: Call) -> list[Layout]:
    return [call.inputs[0]] * len(call.node.outputs)


def _prelu(call: Call) -> list[Layout]:
    layer, layout = call.operation, call.inputs[0]
    for axis, units in enumerate(layout.axes[1:]):
        if layer.alpha.shape[axis] > 1:
            call.add(layer.alpha, axis, units)
    return [layout]


def _rescaling(call: Call) -> list[Layout]:
    layer, layout = call.operation, call.inputs[0]
    if np.size(layer.scale) > 1 or np.size(layer.offset) > 1:
        return stays(call, "has a number for each of them")
    return [layout.with_axes(layout.axes, layout.zero and not np.any(layer.offset))]


def _losses(call: Call) -> list[Layout]:
    """Follow what carries losses, each a number, on its first tensor."""
    for layout in call.inputs[1:]:
        call.fix(layout, "adds them to the loss")
    return [call.inputs[0]]


OPERATIONS = table(
    {
        f"{FUNCTIONS} ReLU": Rule(_function),
        "Add Subtract Maximum Minimum Fmax Fmin Hypot": _operation(all),
        "Multiply": _operation(any),
        "Divide TrueDivide DivideNoNan FloorDivide Mod": _operation(_first),
        "Power": Rule(_power, arguments=_cut_arrays),
        "Logaddexp Logaddexp2 Arctan2 Equal NotEqual Greater GreaterEqual Less LessEqual Isclose": (
            _operation(_never)
        ),
        "LogicalAnd LogicalOr LogicalXor": _operation(_never),
        "Where": _operation(_values),
    }
)

LAYERS = table(
    {
        "Add Subtract Average Maximum Minimum CustomScaleLayer": _merging(all),
        "Multiply": _merging(any),
        "Activation": Rule(_activation),
        "ReLU LeakyReLU ELU": Rule(_function),
        "PReLU": Rule(_prelu),
        "Rescaling": Rule(_rescaling),
        "Identity Dropout SpatialDropout1D SpatialDropout2D SpatialDropout3D GaussianDropout GaussianNoise": (
            Rule(_same)
        ),
        "AlphaDropout ActivityRegularization": Rule(_same),
        "AddedLosses": Rule(_losses),
    }
)
