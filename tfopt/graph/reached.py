"""Objects that are reached from an object: through attributes, containers, bound methods and closures."""

from __future__ import annotations

import functools
import types
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_STATE = (keras.Variable, tf.Variable, keras.Operation, keras.KerasTensor)
_PLAIN = (str, bytes, int, float, type, types.ModuleType, np.ndarray)
_FOREIGN = ("tensorflow", "numpy", "builtins", "threading", "weakref", "logging", "inspect", "re")
"""The packages whose objects are not looked into: they hold no layers, or tables that nothing changes."""


def holds_state(value: Any) -> bool:
    """Return whether a variable or a layer is reached from an object."""
    return any(isinstance(each, _STATE) for each in _reached(value))


def holds_any(value: Any, ids: Collection[int]) -> bool:
    """Return whether one of the objects whose `id`s are given is reached from a value."""
    return any(id(each) in ids for each in _reached(value))


def _reached(value: Any) -> Iterator[Any]:
    """Yield every object that is reached from one, itself first, each once."""
    seen: dict[int, Any] = {}
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if id(each) not in seen and not isinstance(each, _PLAIN):
            seen[id(each)] = each
            yield each
            waiting += _held_by(each)


def _held_by(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return list(value)
    if isinstance(value, types.MethodType):
        return [value.__self__]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.FunctionType):
        return [*closed_over(value), value.__defaults__, value.__kwdefaults__, *vars(value).values()]
    foreign = type(value).__module__.split(".")[0] in _FOREIGN
    return [] if foreign else list(getattr(value, "__dict__", {}).values())


def closed_over(function: types.FunctionType) -> list[Any]:
    """Return the values of the variables around a function that it reads."""
    return [cell.cell_contents for cell in function.__closure__ or () if _filled(cell)]


def _filled(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018 (an empty cell raises)
    except ValueError:
        return False
    return True
