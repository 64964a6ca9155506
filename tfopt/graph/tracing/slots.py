"""The places in a layer that hold variables: where code that is traced finds symbolic tensors instead."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import tensorflow as tf

from tfopt.graph import _keras_layers

Variable = keras.Variable | tf.Variable


class Slot:
    """A place that holds a variable: an attribute, an item of a list or dictionary, a cell of a function."""

    def __init__(self, name: str, variable: Any, assign: Callable[[Any], None]) -> None:
        self.name, self.variable, self.set = name, variable, assign


def slots_of(layer: keras.Layer, prefix: str, seen: set[int]) -> Iterator[Slot]:
    """Yield the places in a layer that hold variables, but those in layers in it.

    Args:
        layer: private to the caller.
        prefix: what the names of the places begin with.
        seen: the `id`s of the lists and dictionaries that were looked into; it grows.
    """
    for name, value in list(vars(layer).items()):
        if not _keras_layers.is_bookkeeping(name):
            yield from _slots(vars(layer), name, value, prefix + name.strip("_"), seen)


def _slots(container: Any, key: Any, value: Any, name: str, seen: set[int]) -> Iterator[Slot]:
    """Yield the places below `container[key]`, which is `value`."""

    def assign(new: Any) -> None:
        # Not setattr and not the methods of Keras's containers: they would take it for a new variable.
        (dict if isinstance(container, dict) else list).__setitem__(container, key, new)

    if isinstance(value, Variable):
        yield Slot(name, value, assign)
    elif isinstance(value, (dict, list)) and id(value) not in seen:
        seen.add(id(value))
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for each, item in list(pairs):
            yield from _slots(value, each, item, f"{name}_{each}", seen)
    elif isinstance(value, tuple) and any(isinstance(item, Variable) for item in value):
        items = list(value)
        made = getattr(value, "_make", tuple)  # of the value: TensorFlow wraps named tuples in a proxy
        for each, item in enumerate(value):
            if isinstance(item, Variable):

                def assign_item(new: Any, each: int = each) -> None:
                    items[each] = new
                    assign(made(items))

                yield Slot(f"{name}_{each}", item, assign_item)
    elif isinstance(value, types.FunctionType) and value.__closure__:
        yield from _slots_of_function(value, name, assign)


def _slots_of_function(
    function: types.FunctionType, name: str, assign: Callable[[Any], None]
) -> Iterator[Slot]:
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

        yield Slot(f"{name}_{free}", variable, assign_cell)
