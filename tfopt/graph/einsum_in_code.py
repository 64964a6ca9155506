"""Equations of einsum as people write them, in code that is traced.

`keras.ops.einsum` takes blanks and capitals of tensors, but not of symbolic tensors: there it knows small
letters alone. The functions of a layer that is traced, which is private to the trace, run as copies whose
`einsum` spells the equation in small letters first.
"""

from __future__ import annotations

import contextlib
import string
import types
from collections.abc import Iterator
from typing import Any

import keras

from tfopt.graph import _keras
from tfopt.graph.users_code import around_of, functions_in, methods, names_in

_NAME = "einsum"


def in_small_letters(equation: str) -> str:
    """Return an equation without blanks, of the letters a, b, c ... in the order of its own.

    The order stays, for it is that of the result's axes where an equation names none.

    Example:
        >>> in_small_letters("bhwc, bHWc -> bhwHW")
        'cefd,cabd->cefab'
    """
    letters = sorted({letter for letter in equation if letter.isalpha()})
    small = dict(zip(letters, string.ascii_lowercase, strict=False))
    return "".join(small.get(each, each) for each in equation if not each.isspace())


def einsum(equation: str, *operands: Any, **kwargs: Any) -> Any:
    """Return what `keras.ops.einsum` does, of symbolic tensors too."""
    return keras.ops.einsum(in_small_letters(equation), *operands, **kwargs)


@contextlib.contextmanager
def readable_einsum(layer: keras.Layer) -> Iterator[None]:
    """Let the code of `layer`, and of the layers in it, call `einsum` of this module as `keras.ops.einsum`.

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
    """Copies of functions in which `einsum` is another, each function once."""

    def __init__(self) -> None:
        self._made: dict[types.FunctionType, types.FunctionType] = {}
        self._mentions: dict[types.FunctionType, bool] = {}

    def mentions(self, function: types.FunctionType) -> bool:
        """Return whether a function calls `einsum`, by itself or through functions around it."""
        if function not in self._mentions:
            self._mentions[function] = False  # while it is looked into: it may call itself
            self._mentions[function] = _NAME in names_in(function.__code__) or any(
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
        if value is keras or value is keras.ops:
            return _Module(value)
        if value is keras.ops.einsum:
            return einsum
        if isinstance(value, types.FunctionType) and self.mentions(value):
            return self(value)
        return value


class _Module:
    """`keras` or `keras.ops`, with another `einsum`."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module = module

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._module, name)
        if value is keras.ops:
            return _Module(value)
        return einsum if value is keras.ops.einsum else value
