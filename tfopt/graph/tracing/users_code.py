"""Names that the code of a user's layer mentions, in itself and in the functions around it."""

from __future__ import annotations

import contextlib
import types
from collections.abc import Iterable, Iterator
from typing import Any


def methods(kind: type) -> Iterator[tuple[str, types.FunctionType]]:
    """Yield the methods that users wrote, those of a class before those of its bases."""
    for each in kind.__mro__:
        if each.__module__.split(".")[0] in ("keras", "tensorflow", "tfopt", "builtins"):
            continue
        for name, value in vars(each).items():
            function = getattr(value, "python_function", value)
            if isinstance(function, types.FunctionType) and not name.startswith("__"):
                yield name, function


def names_in(code: types.CodeType) -> set[str]:
    """Return the names that code and the functions in it look up around them."""
    found = {*code.co_names, *code.co_freevars}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names_in(constant)
    return found


def around_of(function: types.FunctionType) -> dict[str, Any]:
    """Return name -> value of what a function reads from its module and its closure."""
    names = names_in(function.__code__)
    found = {name: function.__globals__[name] for name in names if name in function.__globals__}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):
            found[name] = cell.cell_contents
    return found


def functions_in(values: Iterable[Any]) -> Iterator[types.FunctionType]:
    """Yield the functions among values that belong to no library."""
    for value in values:
        if isinstance(value, types.FunctionType):
            module: str = value.__module__ or ""
            if module.split(".")[0] not in ("keras", "tensorflow", "numpy", "tfopt"):
                yield value


def mentions(function: types.FunctionType, name: str) -> bool:
    """Return whether a function mentions `name`, by itself or through functions around it."""
    seen: set[types.FunctionType] = set()
    waiting = [function]
    while waiting:
        each = waiting.pop()
        if each not in seen:
            seen.add(each)
            if name in names_in(each.__code__):
                return True
            waiting += functions_in(around_of(each).values())
    return False
