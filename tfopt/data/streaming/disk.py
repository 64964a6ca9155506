"""Rows of one size in a file without a name, which goes with the process."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np

from tfopt.errors import DataError

_KEPT_FREE = 2**30
"""So many bytes of a disk are left to others."""


class DiskRows:
    """Rows that are written to and read from a temporary file; it may be used in several threads.

    They are read with `pread` rather than mapped: what was read does not count as memory of the process.

    Args:
        folder: of the file.
        shape: of one row.
        dtype: of the rows.
    """

    def __init__(self, folder: Path, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self._file = tempfile.TemporaryFile(dir=folder, prefix="tfopt-")  # noqa: SIM115
        self._shape = shape
        self._dtype = dtype
        self.row_bytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize

    def write(self, indices: np.ndarray, rows: np.ndarray) -> None:
        """Put rows where these indices are.

        Raises:
            DataError: the disk is full.
        """
        rows = np.ascontiguousarray(rows, self._dtype)
        for index, row in zip(indices, rows, strict=True):
            self._write(row, int(index) * self.row_bytes)

    def append(self, start: int, rows: np.ndarray) -> None:
        """Put rows from index `start` on."""
        self._write(np.ascontiguousarray(rows, self._dtype), start * self.row_bytes)

    def read(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows of these indices; those that follow one another are read at once."""
        found = np.empty((len(indices), *self._shape), self._dtype)
        target = memoryview(found.reshape(-1).view(np.uint8).data)
        breaks = [0, *(np.flatnonzero(np.diff(indices) != 1) + 1), len(indices)]
        for first, last in itertools.pairwise(breaks):
            place, end = first * self.row_bytes, last * self.row_bytes
            offset = int(indices[first]) * self.row_bytes if len(indices) else 0
            while place < end:
                count = os.preadv(self._file.fileno(), [target[place:end]], offset)
                if not count:
                    raise DataError("The temporary file of the samples is shorter than it was written.")
                place, offset = place + count, offset + count
        return found

    def _write(self, rows: np.ndarray, offset: int) -> None:
        content = memoryview(rows.reshape(-1).view(np.uint8).data)
        try:
            while content:
                count = os.pwrite(self._file.fileno(), content, offset)
                content, offset = content[count:], offset + count
        except OSError as error:
            raise DataError(
                f"Cannot keep samples in a temporary file: {error.strerror or error}. Set TMPDIR, or name a "
                "folder with more space."
            ) from error


def require_space(folder: Path, needed: int, what: str) -> None:
    """Raise `DataError` where a folder's disk has not so many bytes, and some for others.

    Args:
        folder: on the disk.
        needed: in bytes.
        what: is written, as the error begins.
    """
    free = shutil.disk_usage(folder).free
    if needed + _KEPT_FREE > free:
        raise DataError(
            f"{what} would take {needed / 2**30:.1f} GiB, and the disk of {folder} has {free / 2**30:.1f} "
            "GiB free. Set TMPDIR, or name a folder on a disk with more space."
        )
