"""Samples as arrays in any structure of inputs and labels: how many, whether they are finite, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from tfopt.data.structure import count


def lengths(*parts: Any) -> set[int]:
    """Return the numbers of samples that the arrays of `parts` have; 0 for a number. Of None nothing."""
    return {len(array) if np.ndim(array) else 0 for array in _flat(parts)}


def finite(*parts: Any) -> bool:
    """Return whether all floats in `parts` are finite."""
    arrays = map(np.asarray, _flat(parts))
    return all(np.isfinite(array).all() for array in arrays if np.issubdtype(array.dtype, np.floating))


def batches(parts: tuple[Any, ...], size: int) -> Iterator[tuple[Any, ...]]:
    """Yield so many samples of each part at a time, in its structure; the last batch may be smaller.

    Args:
        parts: arrays in any structure, samples first, as many in each; None stays None.
        size: samples a batch.
    """
    for start in range(0, count(parts[0]), size):

        def rows(array: Any, start: int = start) -> Any:
            return np.asarray(array)[start : start + size]

        yield tuple(None if part is None else keras.tree.map_structure(rows, part) for part in parts)


def _flat(parts: tuple[Any, ...]) -> list[Any]:
    return [array for part in parts if part is not None for array in keras.tree.flatten(part)]
