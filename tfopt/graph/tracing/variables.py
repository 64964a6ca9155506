"""What the code of a layer reads and calls while it is traced: its variables, and the layers in it.

The layer must be private to the trace: a copy that no user and no other thread can see.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import _keras
from tfopt.graph.layers.constant import Constant
from tfopt.graph.layers.over_batch import ONE_BATCH, of_one_batch
from tfopt.graph.tracing.assignments import Assignable
from tfopt.graph.tracing.known_sizes import note_sizes

Variable = keras.Variable | tf.Variable


class Constants:
    """One layer for each variable of a model, however often and wherever its code reads it."""

    def __init__(self) -> None:
        self._layers: dict[int, tuple[Any, Constant]] = {}

    def __call__(self, variable: Any, name: str) -> Constant:
        """Return the layer that holds `variable`, called `name` where it is new."""
        if id(variable) not in self._layers:
            hold = Constant.holding if isinstance(variable, keras.Variable) else Constant.of
            self._layers[id(variable)] = variable, hold(variable, name)
        return self._layers[id(variable)][1]

    def __iter__(self) -> Iterator[Constant]:
        """Yield the layers."""
        return (layer for _, layer in self._layers.values())

    def __contains__(self, operation: Any) -> bool:
        """Return whether an operation is one of the layers."""
        return any(operation is layer for _, layer in self._layers.values())


@contextlib.contextmanager
def symbolic(
    layer: keras.Layer,
    reference: keras.KerasTensor,
    constants: Constants,
    opened: Callable[[keras.Layer, tuple, dict[str, Any]], Any],
    training: bool | None = None,
) -> Iterator[None]:
    """Let the code of `layer` read symbolic tensors in place of variables, also in lists and in layers in it.

    Layers in it that are called see their real variables; called on a constant, they are called on a
    symbolic tensor of its value, so that a table of positions stays trainable. One that users wrote and
    Keras cannot call on symbolic tensors, since it returns None beside tensors or takes arguments that its
    base knows nothing of, runs its code in place.

    Args:
        layer: whose code is going to run.
        reference: a symbolic tensor that the code reads.
        constants: the layers that hold the variables.
        opened: runs the code of a layer in `layer` with arguments and keyword arguments.
        training: what the code is told. The layers in it that are called are not told: they stand in a graph
            for both.
    """
    inner = _keras.sublayers(layer)
    slots: list[_Slot] = []
    seen: set[int] = set()
    for owner, prefix in [(layer, ""), *((each, f"{each.name}_") for each in inner)]:
        slots += _slots_of(owner, prefix, seen)
    tensors = [constants(slot.variable, slot.name)(reference) for slot in slots]
    reading = [True]
    changed: set[int] = set()

    def change(variable: Any, value: Any) -> None:
        changed.add(id(variable))
        for number, slot in enumerate(slots):
            if slot.variable is variable:
                tensors[number] = value
                slot.set(value)

    for slot, tensor in zip(slots, tensors, strict=True):
        tensor.variable = Assignable(slot.variable, slot.name, reference, change, training)

    def put(values: list[Any]) -> None:
        for slot, value in zip(slots, values, strict=True):
            slot.set(value)

    def called(each: keras.Layer, original: Callable[..., Any], args: tuple, kwargs: dict[str, Any]) -> Any:
        if not reading[0]:
            return original(*args, **kwargs)
        if kwargs.get("training") is False:
            freeze(each)
        elif training and kwargs.get("training") is True:
            kwargs = {**kwargs, "training": None}
        if args and tf.executing_eagerly():
            args = _with_symbolic(args[0], reference), *args[1:]
        if args and isinstance(each, ONE_BATCH):
            args = of_one_batch(args[0]), *args[1:]
        reads_changed = any(id(variable) in changed for variable in each.variables)
        if reads_changed or (_is_code(each) and _has_masks(each, (args, kwargs))):
            return opened(each, args, kwargs)
        attention = isinstance(each, keras.layers.MultiHeadAttention) and not _is_code(each)
        if attention:
            kwargs = _keras.with_masks(each, args, kwargs)
        reading[0] = False
        put([slot.variable for slot in slots])
        try:
            outputs = original(*args, **kwargs)
        except Exception:
            if not _is_code(each):
                raise
        else:
            note_sizes(each, outputs, *args)
            if attention:
                _keras.remove_masks([*args[:3], *(kwargs.get(name) for name in ("query", "value", "key"))])
            return outputs
        finally:
            put(tensors)
            reading[0] = True
        return opened(each, args, kwargs)

    put(tensors)
    try:
        with _keras.calls_replaced(inner, called):
            yield
    finally:
        put([slot.variable for slot in slots])


def _with_symbolic(value: Any, reference: keras.KerasTensor) -> Any:
    """Return what a layer is called with, symbolic where it is constant: its weights are to stay trainable.

    Of several tensors that is done to floats alone: with integers beside them, such as edges, code computes.
    """
    if isinstance(value, (list, tuple)):
        flat = keras.tree.flatten(value)
        if any(isinstance(each, keras.KerasTensor) for each in flat):
            return value
        return keras.tree.map_structure(
            lambda each: (
                Constant.of(each, "constant")(reference)
                if isinstance(each, (tf.Tensor, np.ndarray)) and "float" in str(each.dtype)
                else each
            ),
            value,
        )
    if isinstance(value, (tf.Tensor, np.ndarray)):
        return Constant.of(value, "constant")(reference)
    return value


def _is_code(layer: keras.Layer) -> bool:
    """Return whether users wrote the `call` of a layer, and it is no functional model."""
    written = type(layer).call.__module__.split(".")[0]
    return _keras.functional(layer) is None and written not in ("keras", "tfopt")


def _has_masks(layer: keras.Layer, arguments: Any) -> bool:
    """Return whether masks travel in the code of a layer: what it returns may have one, unseen by Keras."""
    given = [x for x in keras.tree.flatten(arguments) if isinstance(x, keras.KerasTensor)]
    return any(_keras.mask_of(x) is not None for x in given) or any(
        isinstance(each, keras.layers.Masking) or getattr(each, "mask_zero", False)
        for each in _keras.sublayers(layer)
    )


def freeze(layer: keras.Layer) -> None:
    """Keep a layer, and what is in it, at inference in training too: code calls it with `training=False`.

    Keras calls what is in a functional model with its own `training`, whatever a call says.
    """
    for each in (layer, *_keras.sublayers(layer)):
        if isinstance(each, keras.layers.BatchNormalization):
            each.trainable = False
        elif isinstance(each, keras.layers.Dropout):
            each.rate = 0.0


class _Slot:
    """A place that holds a variable: an attribute, an item of a list or dictionary, a cell of a function."""

    def __init__(self, name: str, variable: Any, assign: Callable[[Any], None]) -> None:
        self.name, self.variable, self.set = name, variable, assign


def _slots_of(layer: keras.Layer, prefix: str, seen: set[int]) -> Iterator[_Slot]:
    for name, value in list(vars(layer).items()):
        if not _keras.is_bookkeeping(name):
            yield from _slots(vars(layer), name, value, prefix + name.strip("_"), seen)


def _slots(container: Any, key: Any, value: Any, name: str, seen: set[int]) -> Iterator[_Slot]:
    """Yield the places below `container[key]`, which is `value`."""

    def assign(new: Any) -> None:
        # Not setattr and not the methods of Keras's containers: they would take it for a new variable.
        (dict if isinstance(container, dict) else list).__setitem__(container, key, new)

    if isinstance(value, Variable):
        yield _Slot(name, value, assign)
    elif isinstance(value, (dict, list)) and id(value) not in seen:
        seen.add(id(value))
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for each, item in list(pairs):
            yield from _slots(value, each, item, f"{name}_{each}", seen)
    elif isinstance(value, tuple) and any(isinstance(item, Variable) for item in value):
        items = list(value)
        made = type(value)._make if hasattr(value, "_make") else tuple
        for each, item in enumerate(value):
            if isinstance(item, Variable):

                def assign_item(new: Any, each: int = each) -> None:
                    items[each] = new
                    assign(made(items))

                yield _Slot(f"{name}_{each}", item, assign_item)
    elif isinstance(value, types.FunctionType) and value.__closure__:
        yield from _slots_of_function(value, name, assign)


def _slots_of_function(
    function: types.FunctionType, name: str, assign: Callable[[Any], None]
) -> Iterator[_Slot]:
    """Yield the variables around a function, which is itself replaced by a copy: users may call the old."""
    cells = list(function.__closure__ or ())
    for number, (free, cell) in enumerate(zip(function.__code__.co_freevars, list(cells), strict=True)):
        try:
            variable = cell.cell_contents
        except ValueError:  # an empty cell, of a name that is not assigned yet
            continue
        if not isinstance(variable, Variable):
            continue

        def assign_cell(new: Any, number: int = number, variable: Any = variable) -> None:
            cells[number] = types.CellType(new)
            copied = types.FunctionType(
                function.__code__,
                function.__globals__,
                function.__name__,
                function.__defaults__,
                tuple(cells),
            )
            copied.__kwdefaults__ = function.__kwdefaults__
            restored = new is variable and all(
                mine is theirs or mine.cell_contents is theirs.cell_contents
                for mine, theirs in zip(cells, function.__closure__ or (), strict=True)
            )
            assign(function if restored else copied)

        yield _Slot(f"{name}_{free}", variable, assign_cell)
