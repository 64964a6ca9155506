"""The data of a recipe: given, or made by a function that another source can be handed to."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from tfopt.data import Dataset

Source: TypeAlias = "Dataset | str | os.PathLike[str] | None"


class DataSource:
    """Where a recipe's data comes from, if not from where the recipe says.

    Args:
        source: a dataset, or what the function of a recipe (`tfopt.data.load` where it has none) takes; None
            for what the recipe says.
    """

    def __init__(self, source: Source) -> None:
        from tfopt.data import Dataset

        if isinstance(source, str | os.PathLike) and Path(source).exists():
            source = Path.cwd() / source  # the file of a recipe may change the current folder
        self._given = source if isinstance(source, Dataset) else None
        self._arguments = () if source is None else (source,)
        self._read: list[Any] = []

    def of(self, data: Any) -> Any:
        """Return the data of a recipe whose argument `data` is this."""
        from tfopt.data import load

        if self._given is not None:
            return self._given
        if any(data is each for each in self._read):  # of a recipe that is made of another, with its data
            return data
        if not is_read(data):
            if not self._arguments:
                return data
            data = load
        self._read.append(data(*self._arguments))
        return self._read[-1]


_SOURCE: contextvars.ContextVar[DataSource | None] = contextvars.ContextVar("_SOURCE", default=None)


@contextlib.contextmanager
def reading(source: DataSource) -> Iterator[None]:
    """Let the recipes that are made inside have this data."""
    token = _SOURCE.set(source)
    try:
        yield
    finally:
        _SOURCE.reset(token)


def resolved(data: Any) -> Any:
    """Return the data of a recipe that is being made: what its function returns, or what it was given."""
    source = _SOURCE.get()
    if source is not None:
        return source.of(data)
    return data() if is_read(data) else data


def is_read(data: Any) -> bool:
    """Return whether data of a recipe is a function that reads it, not one that generates batches."""
    return callable(data) and not inspect.isgeneratorfunction(data)
