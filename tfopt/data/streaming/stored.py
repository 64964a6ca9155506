"""An array whose rows are read when they are asked for: from files, from disk, or through a function of rows.

Everything that a run does with samples (splits, shuffled batches, a spread of samples for calibration,
evaluation) indexes the first axis of an array. A `Stored` answers that without holding the rows, so that the
order of an epoch is a permutation of all samples, as for arrays, and an epoch can be entered anywhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfopt.errors import DataError

LIMIT = 512 * 2**20
"""Samples that take more bytes than this as float32 are not held in memory unless that is asked for."""

_HASHED = 16
"""So many rows stand for a function in a fingerprint: functions have no digest of their own."""


@dataclass(frozen=True, eq=False)
class Stored:
    """An array of rows that `read` returns.

    Attributes:
        shape: rows first.
        dtype: of the rows.
        read: indices, an int64 array of shape (n,) -> the rows, of shape (n, ...). It may be called in
            several threads.
        digest: returns the SHA-256 of all that the rows depend on.
        place: where they are, in words: `"1,500 image files"`.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[np.ndarray], np.ndarray]
    digest: Callable[[], str]
    place: str

    @property
    def ndim(self) -> int:
        """The number of axes, that of the rows included."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes the whole array would take in memory."""
        return int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """Return the rows of an integer, a slice, or an array of integers or booleans, read now.

        Raises:
            IndexError: the key is another one, or out of range.
        """
        if isinstance(key, tuple) or key is None or key is Ellipsis:
            raise IndexError("Stored samples are indexed by their first axis alone: index what is read.")
        indices = np.arange(len(self), dtype=np.int64)[key]
        rows = self.read(np.atleast_1d(indices))
        return rows if np.ndim(indices) else rows[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all rows, for what needs them at once.

        Raises:
            DataError: they take more than `LIMIT`.
        """
        if self.nbytes > LIMIT:
            raise DataError(
                f"All {len(self):,} samples are needed in memory at once here, {self.nbytes / 2**30:.1f} "
                f"GiB, and they are kept in {self.place}. Give a part of them, such as data.x_train[:1000]."
            )
        rows = self[:]
        return rows if dtype is None else rows.astype(dtype, copy=False)

    def rows(self, chosen: np.ndarray) -> Stored:
        """Return some of the rows, not read yet.

        Args:
            chosen: their indices, or a boolean for each row.
        """
        indices = np.arange(len(self), dtype=np.int64)[chosen]
        return dataclasses.replace(
            self,
            shape=(len(indices), *self.shape[1:]),
            read=lambda rows: self.read(indices[rows]),
            digest=lambda: _digest(self.digest(), indices.tobytes()),
        )

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Stored:
        """Return the rows as `function` makes them, done when they are read.

        Args:
            function: of an array of some rows, to an array of as many.
        """
        first = function(self[:1])

        def digest() -> str:
            some = self[np.linspace(0, len(self) - 1, min(_HASHED, len(self))).astype(int)]
            return _digest(self.digest(), np.ascontiguousarray(function(some)).tobytes())

        return dataclasses.replace(
            self,
            shape=(len(self), *first.shape[1:]),
            dtype=first.dtype,
            read=lambda rows: function(self.read(rows)),
            digest=digest,
        )

    def astype(self, dtype: Any, copy: bool = True) -> Stored:  # noqa: ARG002
        """Return the rows in another type."""
        return self if self.dtype == dtype else self.map(lambda rows: rows.astype(dtype))


def indexable(values: Any) -> Any:
    """Return values as an array; a `Stored` as it is, of which no row is read yet."""
    return values if isinstance(values, Stored) else np.asarray(values)


def rows_of(array: Any, chosen: np.ndarray) -> Any:
    """Return some rows of an array; of a `Stored` they are not read yet."""
    return array.rows(chosen) if isinstance(array, Stored) else array[chosen]


def mapped(function: Callable[[np.ndarray], np.ndarray], array: Any) -> Any:
    """Return `function` of the rows of an array; of a `Stored` they are not read yet."""
    return array.map(function) if isinstance(array, Stored) else function(array)


def mean_and_deviation(array: Any, samples: int = 1024) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each feature (the last axis) over all rows, in float64.

    Of a `Stored` they are computed part by part: Chan, Golub and LeVeque, "Updating formulae and a pairwise
    algorithm for computing sample variances" (1979), equations 2.1.

    Args:
        array: of shape (samples, ..., features), or (samples,).
        samples: so many are read at a time.
    """
    axes = tuple(range(array.ndim - 1)) if array.ndim > 1 else None
    if not isinstance(array, Stored):
        found = np.mean(array, axis=axes, dtype=np.float64), np.std(array, axis=axes, dtype=np.float64)
        return np.asarray(found[0]), np.asarray(found[1])
    count, mean, squares = 0, np.float64(0), np.float64(0)
    for start in range(0, len(array), samples):
        part = array[start : start + samples].astype(np.float64)
        size = part.size if axes is None else part.size // part.shape[-1]
        part_mean = part.mean(axis=axes)
        difference = part_mean - mean
        squares = squares + ((part - part_mean) ** 2).sum(axis=axes)
        squares = squares + difference**2 * (count * size / (count + size))
        mean = mean + difference * (size / (count + size))
        count += size
    return np.asarray(mean), np.asarray(np.sqrt(squares / count))


def _digest(*parts: str | bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()
