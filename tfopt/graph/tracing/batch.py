"""Code that asks for the size of the batch, as a graph for any.

A symbolic tensor does not know the size, and `ops.tile(token, (ops.shape(x)[0], 1, 1))` fails on one. Such
code runs twice, with two sizes; what was recorded then must be the same but for numbers in the proportion
of the sizes, which are the batch. The graph is put together once more, with the batch unknown.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Set
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import _keras
from tfopt.graph.layers.constant import Constant, as_array
from tfopt.graph.layers.over_batch import BatchSize, OverBatch
from tfopt.graph.tracing.known_sizes import note_sizes
from tfopt.graph.tracing.not_symbolic import NotSymbolic

SIZES = (3, 11)
"""Two primes: what is in their proportion, or splits into as many rows, is so because of the batch."""


class DependsOnBatch(NotSymbolic):
    """Code computes something else for other batches, which no graph for all of them does."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """A number in recorded code that is this many times the batch."""

    times: int


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """An array in recorded code that has these rows for each sample, along an axis."""

    array: np.ndarray
    axis: int


def for_any_batch(run: Callable[[Any], tuple[Any, Any]], arguments: Any) -> tuple[Any, Any]:
    """Return what `run(arguments)` returns, as if it had not asked for the size of the batch.

    Args:
        run: calls code that uses layers and `keras.ops` on symbolic tensors, and returns outputs and losses;
            called twice. What makes losses alone may compute with the size as a number.
        arguments: a structure with symbolic tensors, the batch of which is unknown.

    Raises:
        DependsOnBatch: the code does something else with a batch of another size.
    """
    pairs = [_recorded(run, arguments, size) for size in SIZES]
    (calls, inputs, outputs), (other_calls, other_inputs, other_outputs) = pairs
    known = {id(mine): (other_inputs[key][1], given) for key, (given, mine) in inputs.items()}
    needed = {
        id(call.outputs[0]) for call in _keras.calls_between(outputs[0], [x for _, x in inputs.values()])
    }
    of_losses = {id(call) for call in calls if id(call.outputs[0]) not in needed}
    merge = _Merge(known, [given for given, _ in inputs.values()], of_losses)
    if [type(call.operation) for call in calls] != [type(call.operation) for call in other_calls]:
        raise DependsOnBatch(
            f"it calls other operations for a batch of {SIZES[0]} than for one of {SIZES[1]}, as a loop over "
            "the samples does: write that for all samples at once, or give the batch a size with "
            "keras.Input(batch_shape=(8, ...))"
        )
    for call, other in zip(calls, other_calls, strict=True):
        merge.emit(call, other)
    return merge.outputs(outputs, other_outputs)


def asks_for_batch(calls: list[_keras.Call]) -> bool:
    """Return whether an unknown size was recorded as a number: it may be that of another tensor."""
    return any(
        None in sizes
        for call in calls
        for name, sizes in vars(call.operation).items()
        if name in _SIZES_OF_OPERATIONS and isinstance(sizes, (list, tuple))
    )


_SIZES_OF_OPERATIONS = {"newshape", "shape", "repeats"}


_Inputs: TypeAlias = dict[int, tuple[keras.KerasTensor, keras.KerasTensor]]


def _recorded(
    run: Callable[[Any], Any], arguments: Any, batch: int
) -> tuple[list[_keras.Call], _Inputs, Any]:
    """Return the calls that `run` makes for a batch, in an order that runs, its inputs and its outputs.

    The inputs are those in the arguments and the masks on them: `id` -> the tensor, and the one in its place.
    """
    made: _Inputs = {}

    def of_size(value: Any) -> Any:
        if not isinstance(value, keras.KerasTensor):
            return value
        if id(value) not in made:
            shape = (batch, *value.shape[1:]) if value.shape and value.shape[0] is None else value.shape
            made[id(value)] = value, keras.Input(batch_shape=shape, dtype=value.dtype)
            mask = _keras.mask_of(value)
            if mask is not None:
                _keras.set_mask(made[id(value)][1], of_size(mask))
        return made[id(value)][1]

    sized = keras.tree.map_structure(of_size, arguments)
    outputs = run(sized)
    return _keras.calls_between(outputs, [x for _, x in made.values()]), made, outputs


class _Merge:
    """Emits two recordings of the same code as one.

    Args:
        inputs: `id` of each input of the first recording -> that of the second, and the one to emit for.
        given: the tensors to emit for.
        of_losses: the `id` of each call of the first recording that makes losses alone.
    """

    def __init__(
        self, inputs: dict[int, tuple[Any, Any]], given: list[keras.KerasTensor], of_losses: Set[int]
    ) -> None:
        self._made = dict(inputs)
        self._of_losses = of_losses
        self._reference = next(x for x in given if x.shape and x.shape[0] is None)

    def emit(self, call: _keras.Call, other: _keras.Call) -> None:
        """Emit one call of the first recording, and its counterpart in the second."""
        for tensor, mate, new in zip(call.outputs, other.outputs, self._emitted(call, other), strict=True):
            self._made[id(tensor)] = mate, new
            sizes = self._merged(tensor.shape, mate.shape)
            shape = tuple(None if isinstance(size, Batch) else size for size in sizes)
            if shape != tuple(new.shape):
                raise DependsOnBatch(
                    f"{_name(call)} has the shape {tuple(tensor.shape)} for a batch of {SIZES[0]}, and "
                    f"{tuple(new.shape)} where the batch is not known"
                )

    def outputs(self, outputs: Any, others: Any) -> Any:
        """Return the emitted outputs, in the structure of the first recording."""
        return self._merged(outputs, others)

    def _emitted(self, call: _keras.Call, other: _keras.Call) -> list[keras.KerasTensor]:
        operation = call.operation
        if isinstance(operation, Constant) and operation is not other.operation:
            merged = self._merged(as_array(operation.value), as_array(other.operation.value))
            if isinstance(merged, Batch) and id(call) not in self._of_losses:
                raise DependsOnBatch(f"{_name(call)} is {_told(merged)}")
            return [self._tensor(merged, operation)]
        try:
            settings = self._settings(call, other)
            args, kwargs = self._merged((call.args, call.kwargs), (other.args, other.kwargs))
        except DependsOnBatch as error:
            raise DependsOnBatch(f"{_name(call)} gets something else for another batch: {error}") from error
        found = [x for x in _leaves((settings, args, kwargs)) if isinstance(x, Batch)]
        if found:
            emit = _EMITTERS.get(type(operation).__name__)
            elementwise = type(operation).__name__ in _BROADCASTING and not isinstance(operation, keras.Layer)
            if elementwise and id(call) in self._of_losses:
                args, kwargs = self._with_size(args, kwargs)
                new = operation(*args, **kwargs)
            elif emit is None or isinstance(operation, keras.Layer):
                raise DependsOnBatch(
                    f"{_name(call)} computes with {_told(found[0])}. Where the rows of the inputs are no "
                    "samples, such as the nodes of a graph, build the model for a fixed number of rows: "
                    "keras.Input(batch_shape=(10, 4))"
                )
            else:
                shape = self._merged(call.outputs[0].shape, other.outputs[0].shape)
                new = emit(self, settings, shape, *args, **kwargs)
        else:
            args, kwargs = self._with_rows(operation, args, kwargs)
            new = operation(*args, **kwargs)
            note_sizes(operation, new, *args)
        return keras.tree.flatten(new)

    def _settings(self, call: _keras.Call, other: _keras.Call) -> dict[str, Any]:
        operation, mate = call.operation, other.operation
        if operation is mate:
            return {}
        if isinstance(operation, keras.Layer):
            if operation.weights or described(operation) != described(mate):
                raise DependsOnBatch(f"it calls another layer ({operation.name!r}) for another batch")
            return {}
        ours, theirs = described(operation), described(mate)
        return {key: self._merged(_as_numbers(ours[key]), _as_numbers(theirs[key])) for key in ours}

    def _merged(self, one: Any, other: Any) -> Any:
        """Return what both recordings have in the same place: a value, `Batch`, `Rows`, or an emitted tensor.

        Raises:
            DependsOnBatch: they have something else.
        """
        if isinstance(one, keras.KerasTensor) and isinstance(other, keras.KerasTensor):
            mate, new = self._made[id(one)]
            if mate is not other:
                raise DependsOnBatch("it reads another tensor")
            return new
        if one is other:
            return one
        if isinstance(one, dict) and isinstance(other, dict) and list(one) == list(other):
            return {key: self._merged(one[key], other[key]) for key in one}
        if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)) and len(one) == len(other):
            values = [self._merged(*pair) for pair in zip(one, other, strict=True)]
            return type(one)._make(values) if hasattr(one, "_make") else type(one)(values)
        if isinstance(one, slice) and isinstance(other, slice):
            bounds = ((one.start, other.start), (one.stop, other.stop), (one.step, other.step))
            return slice(*(self._merged(_as_number(ours), _as_number(theirs)) for ours, theirs in bounds))
        if isinstance(one, (tf.Tensor, np.ndarray, np.generic)):
            return _merged_arrays(one, other)
        if isinstance(one, types.FunctionType) and isinstance(other, types.FunctionType):
            if one.__code__ is other.__code__:
                return one
        elif isinstance(one, (int, float)) and type(one) is type(other) and not isinstance(one, bool):
            return _merged_numbers(one, other)
        elif type(one) is type(other) and one == other:
            return one
        raise DependsOnBatch(f"{one!r} for a batch of {SIZES[0]}, {other!r} for one of {SIZES[1]}")

    def _tensor(self, merged: Any, constant: Constant) -> keras.KerasTensor:
        """Return the emitted tensor of a merged array, which `constant` holds for the first size."""
        if isinstance(merged, Batch):
            return BatchSize(merged.times, dtype=constant.compute_dtype)(self._reference)
        if not isinstance(merged, Rows):
            return constant(self._reference)
        return self._repeated(merged, constant.name)

    def _repeated(self, rows: Rows, name: str) -> keras.KerasTensor:
        made = self.over_batch(Constant.of(rows.array, name)(self._reference))
        return keras.ops.moveaxis(made, 0, rows.axis) if rows.axis else made

    def over_batch(self, rows: Any) -> keras.KerasTensor:
        """Return the tensor that has `rows` for each sample."""
        if None in rows.shape:
            raise DependsOnBatch("a tensor that has the batch already is repeated for it")
        return OverBatch(dtype=rows.dtype)([rows, self._reference])

    def _with_size(self, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return arguments with a tensor in place of the size of the batch."""
        dtype = next(x.dtype for x in _leaves((args, kwargs)) if isinstance(x, keras.KerasTensor))

        def made(value: Any) -> Any:
            return BatchSize(value.times, dtype=dtype)(self._reference) if isinstance(value, Batch) else value

        return _mapped(made, (args, kwargs))

    def _with_rows(self, operation: keras.Operation, args: tuple, kwargs: dict[str, Any]) -> Any:
        """Return arguments with tensors in place of `Rows`; one row is enough where it is broadcast."""
        tensors = [x for x in _leaves((args, kwargs)) if isinstance(x, keras.KerasTensor)]

        def made(value: Any) -> Any:
            if not isinstance(value, Rows):
                return value
            batched = any(x.shape[:1] == (None,) and len(x.shape) == value.array.ndim for x in tensors)
            if (
                not value.axis
                and len(value.array) == 1
                and batched
                and type(operation).__name__ in _BROADCASTING
            ):
                return value.array
            return self._repeated(value, "rows")

        return _mapped(made, (args, kwargs))


def _told(size: Batch) -> str:
    one, other = (size.times * each for each in SIZES)
    return (
        f"the size of the batch as a number: {one} for a batch of {SIZES[0]}, {other} for one of {SIZES[1]}"
    )


def _name(call: _keras.Call) -> str:
    return f"{type(call.operation).__name__} ({call.operation.name!r})"


_BROADCASTING = {
    *("Add", "Subtract", "Multiply", "TrueDivide", "Divide", "Maximum", "Minimum", "Where"),
    *("LogicalAnd", "LogicalOr", "Equal", "NotEqual", "Greater", "GreaterEqual", "Less", "LessEqual"),
    "DivideNoNan",
}
"""Operations of two tensors element by element."""


def described(operation: keras.Operation) -> dict[str, Any]:
    """Return what an operation was made with, without its name."""
    if isinstance(operation, keras.Layer):
        return {key: value for key, value in operation.get_config().items() if key != "name"}
    return {key: value for key, value in vars(operation).items() if key != "name" and not key.startswith("_")}


def _as_number(value: Any) -> Any:
    """Return a number of a tensor or an array of one integer, and everything else as it is."""
    whole = isinstance(value, (tf.Tensor, np.ndarray, np.generic)) and np.ndim(value) == 0
    return int(value) if whole and np.issubdtype(np.asarray(value).dtype, np.integer) else value


def _as_numbers(value: Any) -> Any:
    """Return a shape as a tuple of numbers, and everything else as it is."""
    if isinstance(value, (list, tuple)):
        return tuple(_as_number(each) for each in value)
    if isinstance(value, (tf.Tensor, np.ndarray)) and np.issubdtype(np.asarray(value).dtype, np.integer):
        return tuple(np.asarray(value).tolist()) if np.ndim(value) == 1 else _as_number(value)
    return value


def _merged_numbers(one: float, other: float) -> Any:
    if one == other:
        return one
    if one % SIZES[0] == 0 and one * SIZES[1] == other * SIZES[0]:
        return Batch(int(one // SIZES[0]))
    raise DependsOnBatch(f"the number {one} for a batch of {SIZES[0]}, {other} for one of {SIZES[1]}")


def _merged_arrays(one: Any, other: Any) -> Any:
    ours, theirs = as_array(one), as_array(other)
    if ours.shape == theirs.shape and np.array_equal(ours, theirs, equal_nan=ours.dtype.kind == "f"):
        return one
    sizes = enumerate(zip(ours.shape, theirs.shape, strict=False))
    axes = [axis for axis, (one_size, other_size) in sizes if one_size != other_size]
    if ours.ndim == theirs.ndim and len(axes) == 1:
        count = _merged_numbers(ours.shape[axes[0]], theirs.shape[axes[0]])
        if isinstance(count, Batch):
            moved = [np.moveaxis(array, axes[0], 0) for array in (ours, theirs)]
            rows = [array.reshape(size, count.times, *array.shape[1:]) for array, size in _sized(*moved)]
            if all(np.array_equal(each, np.broadcast_to(rows[0][:1], each.shape)) for each in rows):
                return Rows(rows[0][0], axes[0])
    if ours.ndim == theirs.ndim == 0:
        return _merged_numbers(ours.item(), theirs.item())
    raise DependsOnBatch("an array whose values depend on the size of the batch, or on the place in it")


def _sized(*arrays: np.ndarray) -> zip:
    return zip(arrays, SIZES, strict=True)


def _leaves(value: Any) -> list[Any]:
    found: list[Any] = []
    _mapped(found.append, value)
    return found


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """Map over a structure in which slices are structures too."""
    if isinstance(value, slice):
        return slice(*(function(each) for each in (value.start, value.stop, value.step)))
    if isinstance(value, dict):
        return {key: _mapped(function, each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        values = [_mapped(function, each) for each in value]
        return type(value)._make(values) if hasattr(value, "_make") else type(value)(values)
    return function(value)


def _reshape(_: _Merge, settings: dict[str, Any], shape: tuple, x: Any) -> Any:  # noqa: ARG001
    if sum(isinstance(size, Batch) for size in shape) != 1:
        raise DependsOnBatch(f"a shape has the batch more than once: {_spelled(shape)}")
    return keras.ops.reshape(x, tuple(-1 if isinstance(size, Batch) else size for size in shape))


def _broadcast_to(merge: _Merge, settings: dict[str, Any], shape: tuple, x: Any) -> Any:  # noqa: ARG001
    x = x if isinstance(x, keras.KerasTensor) else keras.ops.convert_to_tensor(x)
    if len(x.shape) == len(shape) and x.shape[0] is None:
        return _repeated(x, shape)
    if shape[0] != Batch(1) or any(isinstance(size, Batch) for size in shape[1:]):
        raise DependsOnBatch(f"broadcasting to {_spelled(shape)}")
    return merge.over_batch(keras.ops.broadcast_to(x, (1, *shape[1:])))


def _repeated(x: Any, shape: tuple) -> Any:
    pairs = zip(x.shape, shape, strict=True)
    return keras.ops.tile(
        x, [1 if old is None or old == new or isinstance(new, Batch) else new for old, new in pairs]
    )


def _tile(merge: _Merge, settings: dict[str, Any], shape: tuple, x: Any) -> Any:
    repeats = settings["repeats"]
    repeats = [repeats] if isinstance(repeats, (int, Batch)) else list(repeats)
    repeats = [1] * (len(shape) - len(repeats)) + repeats
    x = keras.ops.reshape(x, (*(1 for _ in range(len(shape) - len(x.shape))), *x.shape))
    (axis,) = _axes_of_batch(repeats, "tile")
    counts = [each.times if isinstance(each, Batch) else each for each in repeats]
    return _along(merge, keras.ops.tile(x, counts) if set(counts) != {1} else x, axis)


def _repeat(merge: _Merge, settings: dict[str, Any], shape: tuple, x: Any) -> Any:
    axis, times = settings["axis"], settings["repeats"]
    times = times if isinstance(times, Batch) else times[0]
    if axis is None or x.shape[axis] != 1:
        raise DependsOnBatch("repeat() of more than one row for the batch")
    x = keras.ops.repeat(x, times.times, axis=axis) if times.times != 1 else x
    return _along(merge, x, axis % len(shape))


def _along(merge: _Merge, x: Any, axis: int) -> Any:
    """Return `x` repeated for the batch along an axis."""
    if axis == 0:
        return merge.over_batch(x)
    return keras.ops.moveaxis(merge.over_batch(keras.ops.moveaxis(x, axis, 0)), 0, axis)


def _get_item(merge: _Merge, settings: dict[str, Any], shape: tuple, x: Any, key: Any) -> Any:  # noqa: ARG001
    key = tuple(key) if isinstance(key, (list, tuple)) else (key,)
    kept = tuple(
        slice(None)
        if isinstance(each, slice) and each.start in (None, 0) and isinstance(each.stop, Batch)
        else each
        for each in key
    )
    if any(isinstance(each, Batch) for each in _leaves(kept)):
        raise DependsOnBatch("an index or a slice that starts at the size of the batch")
    return x[kept]


def _slice(merge: _Merge, settings: dict[str, Any], shape: tuple, x: Any, start: Any) -> Any:
    bounds = zip(_as_numbers(start), settings["shape"], strict=True)
    key = tuple(slice(first, size if isinstance(size, Batch) else first + size) for first, size in bounds)
    return _get_item(merge, settings, shape, x, key)


def _axes_of_batch(sizes: list[Any], what: str) -> list[int]:
    axes = [axis for axis, size in enumerate(sizes) if isinstance(size, Batch)]
    if len(axes) != 1:
        raise DependsOnBatch(f"{what}() over the batch along more than one axis")
    return axes


def _spelled(shape: tuple) -> str:
    return str(tuple(f"{size.times} * batch" if isinstance(size, Batch) else size for size in shape)).replace(
        "'", ""
    )


_EMITTERS: dict[str, Callable[..., Any]] = {
    "Reshape": _reshape,
    "BroadcastTo": _broadcast_to,
    "Tile": _tile,
    "Repeat": _repeat,
    "GetItem": _get_item,
    "Slice": _slice,
}
"""The operation that was given a size of the batch -> how it is emitted where that is not known."""
