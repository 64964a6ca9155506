"""Batches that are read once, into memory, or onto disk where they are large, in an order of their own.

One pass is needed before any training: to count samples and classes, to hold out splits, to find what is not
finite, and to know whether a run that was cut off had the same data. What the pass reads is kept. Samples are
ordered by a hash of their content, so that data that is shuffled differently each time is the same data.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.data.streaming import stored
from tfopt.data.streaming.disk import DiskRows, require_space
from tfopt.data.streaming.stored import Stored
from tfopt.data.structure import leaves
from tfopt.errors import DataError, InvalidArgumentError

_KEY = 16
"""Bytes of the hash that stands for a sample."""
_SMALL = 64
"""Targets and weights of not more bytes a sample, such as labels, stay in memory."""


def gathered(batches: Iterator[tuple[Any, ...]], what: str, folder: Path) -> tuple[Any, ...]:
    """Return the samples of all batches in the structure of a batch: arrays, or `Stored` of what is large.

    Args:
        batches: tuples of arrays, or of tuples and dicts of arrays.
        what: how an error calls them.
        folder: for the files of what takes more than `LIMIT` bytes as float32.

    Raises:
        DataError: there are none, they differ in structure, shape or type, hold NaN or infinity, or do not
            fit on the disk.
        InvalidArgumentError: they repeat themselves.
    """
    columns: list[_Column] = []
    keys: list[bytes] = []
    structure: Any = None
    repeats = _Repeats()
    for number, batch in enumerate(batches):
        named = _named(batch)
        if structure is None:
            structure = batch
            columns = [_Column(name, array, large=name.startswith("x")) for name, array in named]
        if [name for name, _ in named] != [column.name for column in columns]:
            raise DataError(
                f"{what} gives {_listed(named)} at batch {number + 1} and {_listed(_named(structure))} at "
                "the first: give the same parts in every batch."
            )
        arrays = [
            column.fitting(array, what, len(keys)) for column, (_, array) in zip(columns, named, strict=True)
        ]
        found = _keys(arrays)
        if repeats.found(found):
            raise InvalidArgumentError(
                f"{what} repeats itself after {number - 1} batches and seems never to end: let it end, or "
                f"pass steps={number - 1}."
            )
        for column, array in zip(columns, arrays, strict=True):
            column.append(array, len(keys))
        keys += found
        if sum(column.bytes_as_float for column in columns) > stored.LIMIT:
            _require_room(folder, len(keys), what)
            for column in columns:
                column.move_to(folder)
    if not keys:
        raise DataError(f"{what} is empty: it gave no batch. Give it samples.")
    held = np.array(keys, f"S{_KEY}")
    order = np.argsort(held, kind="stable")
    digest = hashlib.sha256(held[order].tobytes()).hexdigest()
    made = iter([column.result(order, digest) for column in columns])
    return tuple(_like(part, made) for part in structure)


class _Column:
    """The rows of one array of the batches."""

    def __init__(self, name: str, first: np.ndarray, *, large: bool) -> None:
        self.name = name
        self._dtype = np.dtype(np.float32) if first.dtype.kind == "f" else first.dtype
        self._shape = first.shape[1:]
        self._size = int(np.prod(self._shape, dtype=np.int64))
        self._large = (large or self._size * 4 > _SMALL) and first.dtype.kind not in "US"
        self._parts: list[np.ndarray] = []
        self._rows: DiskRows | None = None
        self._folder = Path()
        self._count = 0

    @property
    def bytes_as_float(self) -> int:
        """What is in memory, or would be as float32."""
        return 0 if self._rows is not None else self._count * self._size * 4

    def fitting(self, array: np.ndarray, what: str, before: int) -> np.ndarray:
        """Return rows in the type of the column, if they fit in it."""
        texts = self._dtype.kind in "US" and array.dtype.kind in "US"
        if array.shape[1:] != self._shape or (array.dtype.kind != self._dtype.kind and not texts):
            raise DataError(
                f"{what} gives {self.name} of shape {array.shape[1:]} and type {array.dtype} a sample, after "
                f"{self._shape} and {self._dtype}: bring all samples to one shape and type."
            )
        if self._dtype.kind == "f":
            with np.errstate(over="ignore"):
                array = array.astype(np.float32, copy=False)
            wrong = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
            if len(wrong):
                raise DataError(
                    f"{what} holds NaN or infinity in {self.name}, first at its sample {before + wrong[0]}. "
                    "Remove or repair it."
                )
            return array
        return array if texts else array.astype(self._dtype, copy=False)

    def append(self, array: np.ndarray, start: int) -> None:
        if self._rows is not None:
            self._rows.append(start, array)
        else:
            self._parts.append(array.copy())
        self._count += len(array)

    def move_to(self, folder: Path) -> None:
        """Put what is large onto disk, and what follows."""
        if self._rows is not None or not self._large:
            return
        self._rows, self._folder, start = DiskRows(folder, self._shape, self._dtype), folder, 0
        for part in self._parts:
            self._rows.append(start, part)
            start += len(part)
        self._parts = []

    def result(self, order: np.ndarray, digest: str) -> Any:
        """Return the rows in an order."""
        if self._rows is None:
            return np.concatenate(self._parts)[order]
        size = self._count * self._rows.row_bytes / 2**30
        whole = Stored(
            shape=(self._count, *self._shape),
            dtype=self._dtype,
            read=self._rows.read,
            digest=str,
            place=f"a temporary file of {size:.1f} GiB in {self._folder}",
        )
        # The order depends on the content alone, where the samples came in does not matter.
        return dataclasses.replace(whole.rows(order), digest=functools.partial(str, f"{digest} {self.name}"))


class _Repeats:
    """Tells where batches begin again with the first two."""

    def __init__(self) -> None:
        self._first: list[list[bytes]] = []
        self._before: list[bytes] = []

    def found(self, batch: list[bytes]) -> bool:
        """Return whether the last batch and this one are the first two."""
        if len(self._first) < len(("first", "second")):
            self._first.append(batch)
            self._before = batch
            return False
        again = [self._before, batch] == self._first and self._first[0] != self._first[1]
        self._before = batch
        return again


def _keys(arrays: list[np.ndarray]) -> list[bytes]:
    """Return a hash of each sample."""
    rows = [np.ascontiguousarray(array) for array in arrays]
    keys = []
    for index in range(len(rows[0])):
        digest = hashlib.blake2b(digest_size=_KEY)
        for array in rows:
            digest.update(array[index].tobytes() if array.dtype.kind != "U" else str(array[index]).encode())
        keys.append(digest.digest())
    return keys


def _require_room(folder: Path, samples: int, what: str) -> None:
    try:
        require_space(folder, 0, "It")
    except DataError as error:
        raise DataError(
            f"{what} has not ended after {samples:,} samples, and the disk of {folder} is nearly full. If it "
            "never ends, pass steps=; else name a folder on a disk with more space with cache=."
        ) from error


def _named(batch: tuple[Any, ...]) -> list[tuple[str, np.ndarray]]:
    return [
        (f"{part}{key and '/' + key}", array)
        for part, arrays in zip(("x", "y", "sample_weight"), batch, strict=False)
        for key, array in leaves(arrays)
    ]


def _listed(named: list[tuple[str, np.ndarray]]) -> str:
    return ", ".join(name for name, _ in named)


def _like(part: Any, made: Iterator[Any]) -> Any:
    """Return the next columns in the structure of a part, whose names come in the order of `leaves`."""
    found = {key: next(made) for key, _ in leaves(part)}
    if isinstance(part, Mapping):
        return {key: found[str(key)] for key in part}
    return tuple(found.values()) if isinstance(part, tuple) else found[""]
