"""The table of TensorFlow's functions on segments, of graph networks; see `tensorflow_functions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


def _flat(data: Any, segment_ids: Any) -> tuple[Any, Any]:
    """Return rows and the segment of each, of what has several axes of rows."""
    if not isinstance(segment_ids, keras.KerasTensor):
        segment_ids = np.asarray(segment_ids)
    rank = len(segment_ids.shape)
    if rank < 2:
        return data, segment_ids
    rest = data.shape[rank:]
    return ops.reshape(data, (-1, *rest)), ops.reshape(segment_ids, (-1,))


def _whole(num_segments: Any) -> int:
    if isinstance(num_segments, keras.KerasTensor):
        raise NotImplementedError("a number of segments that is a tensor")
    return int(np.asarray(num_segments).reshape(()))


def _unsorted(function: Callable[..., Any]) -> Callable[..., Any]:
    def entry(data: Any, segment_ids: Any, num_segments: Any) -> Any:
        if not isinstance(data, keras.KerasTensor):
            raise NotImplementedError("data that does not depend on the input")
        data, segment_ids = _flat(data, segment_ids)
        return function(data, segment_ids, _whole(num_segments))

    return entry


def _sorted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same for segments that are counted by the largest number among them."""

    def entry(data: Any, segment_ids: Any) -> Any:
        if isinstance(segment_ids, keras.KerasTensor):
            raise NotImplementedError(
                "segments that are a tensor: how many there are is not known; say so with "
                "tf.math.unsorted_segment_sum(data, segment_ids, num_segments)"
            )
        return _unsorted(function)(data, segment_ids, 1 + np.max(np.asarray(segment_ids)))

    return entry


def _of(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda data, segment_ids, count: function(data, segment_ids, num_segments=count)


def _count(data: Any, segment_ids: Any, count: int) -> Any:
    """Return how many rows a segment has, 1 for none, of the rank of `data`."""
    if isinstance(segment_ids, keras.KerasTensor):
        found = ops.segment_sum(ops.ones_like(segment_ids, dtype=data.dtype), segment_ids, num_segments=count)
        found = ops.maximum(found, 1.0)
        for _ in data.shape[1:]:
            found = ops.expand_dims(found, -1)
        return found
    numbers = np.asarray(segment_ids)
    found = np.maximum(np.bincount(numbers[numbers >= 0], minlength=count)[:count], 1).astype(data.dtype)
    return found.reshape(-1, *(1 for _ in data.shape[1:]))


def _mean(data: Any, segment_ids: Any, count: int) -> Any:
    return _divided(ops.segment_sum(data, segment_ids, num_segments=count), _count(data, segment_ids, count))


def _sum_by_root(data: Any, segment_ids: Any, count: int) -> Any:
    total = ops.segment_sum(data, segment_ids, num_segments=count)
    found = _count(data, segment_ids, count)
    return _divided(total, np.sqrt(found) if isinstance(found, np.ndarray) else ops.sqrt(found))


def _divided(total: Any, count: Any) -> Any:
    return total * (1 / count) if isinstance(count, np.ndarray) else total / count


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _of(ops.segment_sum),
    "max": _of(ops.segment_max),
    "min": _of(ops.segment_min),
    "prod": _of(ops.segment_prod),
    "mean": _mean,
}

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{f"math.unsorted_segment_{name}": _unsorted(function) for name, function in _REDUCTIONS.items()},
    **{f"math.segment_{name}": _sorted(function) for name, function in _REDUCTIONS.items()},
    "math.unsorted_segment_sqrt_n": _unsorted(_sum_by_root),
}
"""The path of a function in `tf` -> its equivalent on symbolic tensors."""
