"""A cache, in memory or in a file, of rows that take work to read, such as images to decode."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tfopt.data.streaming.disk import DiskRows, require_space
from tfopt.data.streaming.stored import Stored
from tfopt.errors import InvalidArgumentError

MEMORY = "memory"
DISK = "disk"


def cached(array: Stored, cache: str | os.PathLike[str] | None) -> Stored:
    """Return the array with rows that are read once, and then taken from a cache in their own type.

    Args:
        array: of rows of a fixed size.
        cache: `"memory"`, `"disk"` (a file in the folder of temporary files), a folder for that file, or
            `None` for no cache. The file has no name: it goes when the process ends, however that ends.

    Raises:
        InvalidArgumentError: the folder does not exist.
        DataError: the disk has not enough space.
    """
    if cache is None:
        return array
    if cache == MEMORY:
        held = np.empty(array.shape, array.dtype)  # pages of memory are taken when they are written
        return _filled(
            array, lambda rows: held[rows], lambda rows, found: held.__setitem__(rows, found), MEMORY
        )
    folder = Path(tempfile.gettempdir() if cache == DISK else cache)
    if not folder.is_dir():
        raise InvalidArgumentError(
            f'cache must be "memory", "disk" or a folder that exists, got {os.fspath(cache)!r}.'
        )
    require_space(folder, array.nbytes, "The cache of the samples")
    rows = DiskRows(folder, array.shape[1:], array.dtype)
    return _filled(array, rows.read, rows.write, f"a file in {folder}")


def _filled(
    array: Stored,
    read: Callable[[np.ndarray], np.ndarray],
    write: Callable[[np.ndarray, np.ndarray], object],
    where: str,
) -> Stored:
    ready = np.zeros(len(array), bool)
    lock = threading.Lock()

    def rows(indices: np.ndarray) -> np.ndarray:
        with lock:
            there = ready[indices]
        if there.all():
            return read(indices)
        missing = indices[~there]
        fresh = array.read(missing)
        write(missing, fresh)
        with lock:
            ready[missing] = True
        if not there.any():
            return fresh
        found = np.empty((len(indices), *array.shape[1:]), array.dtype)
        found[there], found[~there] = read(indices[there]), fresh
        return found

    return dataclasses.replace(array, read=rows, place=f"{array.place}, cached in {where}")
