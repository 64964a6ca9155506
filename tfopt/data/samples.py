"""Samples as arrays in any structure of inputs and labels: how many, whether they are finite, in batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tfopt.data.streaming.stored import Stored, indexable
from tfopt.data.structure import count, nested_leaves, nested_map


def lengths(*parts: Any) -> set[int]:
    """Return the numbers of samples that the arrays of `parts` have; 0 for a number. Of None nothing."""
    return {len(array) if np.ndim(array) else 0 for array in _flat(parts)}


def finite(*parts: Any) -> bool:
    """Return whether all floats in `parts` are finite; samples on disk are checked when read."""
    arrays = [np.asarray(array) for array in _flat(parts) if not isinstance(array, Stored)]
    return all(np.isfinite(array).all() for array in arrays if np.issubdtype(array.dtype, np.floating))


def is_streamed(*parts: Any) -> bool:
    """Return whether some of the arrays of `parts` are not in memory."""
    return any(isinstance(array, Stored) for array in _flat(parts))


def batches(parts: tuple[Any, ...], size: int) -> Iterator[tuple[Any, ...]]:
    """Yield so many samples of each part at a time, in its structure; the last batch may be smaller.

    Args:
        parts: arrays in any structure, samples first, as many in each; None stays None.
        size: samples a batch.
    """
    for start in range(0, count(parts[0]), size):

        def rows(array: Any, start: int = start) -> Any:
            return indexable(array)[start : start + size]

        yield tuple(None if part is None else nested_map(rows, part) for part in parts)


def in_parts(function: Callable[[Any], Any], x: Any, size: int = 256) -> Any:
    """Return `function(x)`, in parts of so many samples where `x` is not in memory.

    Args:
        function: of inputs, to an array or a dict, list or tuple of arrays, samples first.
        x: inputs.
        size: samples a part.
    """
    if not is_streamed(x):
        return function(x)
    parts = [function(part) for (part,) in batches((x,), size)]
    return nested_map(lambda *arrays: np.concatenate(arrays), *parts)


def _flat(parts: tuple[Any, ...]) -> list[Any]:
    return [array for part in parts if part is not None for array in nested_leaves(part)]
