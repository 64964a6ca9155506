"""The state of an object that has no protocol for it: its plain attributes, arrays and variables.

Keras's callbacks keep what they have learned (the best loss so far, the best weights, a count of steps)
in attributes and offer no way to save it.
"""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_ARRAY = "__array__"
_VARIABLE = "__variable__"
_FUNCTION = "__function__"
_OWN = {*vars(keras.callbacks.Callback()), "validation_data"}
"""Attributes of every Keras callback, which `fit` sets anew."""


def capture(holder: Any, arrays: dict[str, np.ndarray], prefix: str) -> dict[str, Any]:
    """Return the state of `holder` as JSON values; arrays go into `arrays` under names with `prefix`.

    Numbers, text, arrays, variables, functions of modules, and lists, tuples and dicts of these count; an
    attribute that holds anything else is left out whole.
    """
    state = {}
    for name, value in vars(holder).items():
        if name in _OWN:
            continue
        found: dict[str, np.ndarray] = {}
        try:
            state[name] = _encode(value, found, f"{prefix}{name}")
        except TypeError:
            continue
        arrays.update(found)
    return state


def left_out(holder: Any) -> list[str]:
    """Return the names of the attributes that `capture` leaves out."""
    known = {*capture(holder, {}, ""), *_OWN}
    return [name for name in vars(holder) if name not in known]


def restore(holder: Any, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Give `holder` the state that `capture` returned. Variables are assigned to where it has them."""
    for name, value in state.items():
        present = getattr(holder, name, None)
        if isinstance(value, dict) and _VARIABLE in value:
            _assign(present, arrays[value[_VARIABLE]])
        elif isinstance(value, list) and value and all(isinstance(v, dict) and _VARIABLE in v for v in value):
            for variable, each in zip(present or (), value, strict=False):
                _assign(variable, arrays[each[_VARIABLE]])
        else:
            decoded = _decode(value, arrays)
            setattr(holder, name, tuple(decoded) if isinstance(present, tuple) else decoded)


def _assign(variable: Any, values: np.ndarray) -> None:
    """Assign to a variable, where there is one."""
    if isinstance(variable, keras.Variable | tf.Variable):
        variable.assign(values)


def _encode(value: Any, arrays: dict[str, np.ndarray], name: str) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype != object:
        arrays[name] = value
        return {_ARRAY: name}
    if isinstance(value, keras.Variable | tf.Variable):
        arrays[name] = np.asarray(keras.ops.convert_to_numpy(value))
        return {_VARIABLE: name}
    # EarlyStopping finds its comparison late, and then changes the sign of its min_delta: one without the
    # other would be wrong.
    if _function(getattr(value, "__module__", None), getattr(value, "__qualname__", None)) is value:
        return {_FUNCTION: [value.__module__, value.__qualname__]}
    if isinstance(value, list | tuple):
        return [_encode(entry, arrays, f"{name}/{i}") for i, entry in enumerate(value)]
    # A dict by `id` of an object means nothing to another process.
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        return {key: _encode(entry, arrays, f"{name}/{key}") for key, entry in value.items()}
    raise TypeError(f"{type(value).__name__} is not plain")


def _decode(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_decode(entry, arrays) for entry in value]
    if not isinstance(value, dict):
        return value
    if _ARRAY in value:
        return arrays[value[_ARRAY]]
    if _FUNCTION in value:
        return _function(*value[_FUNCTION])
    return {key: _decode(entry, arrays) for key, entry in value.items()}


def _function(module: str | None, name: str | None) -> Any:
    """Return a function of a module that is imported already, or `None`."""
    return getattr(sys.modules.get(module or ""), name or "", None)
