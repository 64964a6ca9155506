"""Functions that do not take symbolic tensors, replaced in code that is traced.

TensorFlow offers most of its functions to a dispatcher where they fail, see `tensorflow_calls`, but not those
of `tf.signal` that transform real numbers, nor those that map a function over an axis. The functions of a
layer that is traced, which is private to the trace, run as copies that call others.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfopt.graph import _keras
from tfopt.graph.functions import signal_functions
from tfopt.graph.functions.einsum_in_code import einsum
from tfopt.graph.tracing import maps_in_code
from tfopt.graph.tracing.users_code import around_of, functions_in, methods, names_in

_MODULES = (keras, keras.ops, tf, tf.signal)
_REPLACED = (
    (keras.ops.einsum, einsum),
    (keras.ops.map, maps_in_code.map),
    (keras.ops.vectorized_map, maps_in_code.vectorized_map),
    (tf.map_fn, maps_in_code.map_fn),
    (tf.vectorized_map, maps_in_code.vectorized_map),
    (tf.signal.rfft, signal_functions.rfft),
    (tf.signal.irfft, signal_functions.irfft),
    (tf.signal.rfft2d, signal_functions.rfft2d),
    (tf.signal.irfft2d, signal_functions.irfft2d),
)
_INSTEAD = {id(function): other for function, other in _REPLACED}
_NAMES = frozenset(other.__name__ for _, other in _REPLACED)


@contextlib.contextmanager
def readable_functions(layer: keras.Layer) -> Iterator[None]:
    """Let the code of `layer`, and of the layers in it, call what takes symbolic tensors in their place.

    Args:
        layer: private to the caller.
    """
    copies = _Copies()
    added: list[tuple[dict[str, Any], str]] = []
    replaced: list[tuple[dict[str, Any], str, Any]] = []
    for owner in (layer, *_keras.sublayers(layer)):
        attributes = vars(owner)
        for name, function in methods(type(owner)):
            if name not in attributes and copies.mentions(function):
                attributes[name] = types.MethodType(copies(function), owner)
                added.append((attributes, name))
        for name, value in list(attributes.items()):
            if isinstance(value, types.FunctionType) and copies.mentions(value):
                replaced.append((attributes, name, value))
                attributes[name] = copies(value)
    try:
        yield
    finally:
        for attributes, name in added:
            del attributes[name]
        for attributes, name, value in replaced:
            attributes[name] = value


class _Copies:
    """Copies of functions that call others in place of some, each function once."""

    def __init__(self) -> None:
        self._made: dict[types.FunctionType, types.FunctionType] = {}
        self._mentions: dict[types.FunctionType, bool] = {}

    def mentions(self, function: types.FunctionType) -> bool:
        """Return whether a function calls one of these, by itself or through functions around it."""
        if function not in self._mentions:
            self._mentions[function] = False  # while it is looked into: it may call itself
            self._mentions[function] = not _NAMES.isdisjoint(names_in(function.__code__)) or any(
                self.mentions(each) for each in functions_in(around_of(function).values())
            )
        return self._mentions[function]

    def __call__(self, function: types.FunctionType) -> types.FunctionType:
        """Return the copy of a function."""
        if function not in self._made:
            cells = tuple(types.CellType() for _ in function.__closure__ or ())
            around = dict(function.__globals__)
            new = types.FunctionType(
                function.__code__, around, function.__name__, function.__defaults__, cells
            )
            new.__kwdefaults__ = function.__kwdefaults__
            self._made[function] = new
            for name in names_in(function.__code__):
                if name in around:
                    around[name] = self._instead_of(around[name])
            for cell, old in zip(cells, function.__closure__ or (), strict=True):
                with contextlib.suppress(ValueError):  # an empty cell, of a name that is not assigned yet
                    cell.cell_contents = self._instead_of(old.cell_contents)
        return self._made[function]

    def _instead_of(self, value: Any) -> Any:
        if any(value is each for each in _MODULES):
            return _Module(value)
        if callable(value) and id(value) in _INSTEAD:
            return _INSTEAD[id(value)]
        if isinstance(value, types.FunctionType) and self.mentions(value):
            return self(value)
        return value


class _Module:
    """One of `_MODULES` with other functions."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        return _Module(value) if any(value is each for each in _MODULES) else _INSTEAD.get(id(value), value)
