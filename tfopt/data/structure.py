"""Arrays alone, in a tuple, or in a dict: what Keras takes for one or several inputs or outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

Arrays: TypeAlias = np.ndarray | tuple[np.ndarray, ...] | dict[str, np.ndarray]


def leaves(arrays: Any) -> list[tuple[str, Any]]:
    """Return (name, array) pairs: names are dict keys in sorted order, tuple positions, or ""."""
    if isinstance(arrays, Mapping):
        return [(str(key), arrays[key]) for key in sorted(arrays)]
    if isinstance(arrays, tuple | list):
        return [(str(position), array) for position, array in enumerate(arrays)]
    return [("", arrays)]


def map_leaves(function: Callable[[Any], Any], arrays: Any) -> Any:
    """Return the same structure with `function` applied to each array; a list becomes a tuple."""
    if isinstance(arrays, Mapping):
        return {key: function(arrays[key]) for key in arrays}
    if isinstance(arrays, tuple | list):
        return tuple(function(array) for array in arrays)
    return function(arrays)


def fits(shape: Sequence[int | None], known: Sequence[int | None]) -> bool:
    """Return whether a shape is one of `known`, where None stands for any size."""
    return len(shape) == len(known) and all(b is None or a == b for a, b in zip(shape, known, strict=True))


def count(arrays: Any) -> int:
    """Return the number of samples."""
    return len(leaves(arrays)[0][1])
