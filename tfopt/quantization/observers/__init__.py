"""Observers: ways to find the range of an activation from the values that it takes."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.quantization.observers.entropy import Entropy
from tfopt.quantization.observers.histogram import Histogram
from tfopt.quantization.observers.mean_squared_error import MeanSquaredError
from tfopt.quantization.observers.min_max import MinMax
from tfopt.quantization.observers.moving_average import MovingAverage
from tfopt.quantization.observers.observer import Observer
from tfopt.quantization.observers.percentile import Percentile

OBSERVERS: Mapping[str, Callable[[], Observer]] = {
    "moving_average": MovingAverage,
    "min_max": MinMax,
    "percentile": Percentile,
    "mse": MeanSquaredError,
    "entropy": Entropy,
}
"""Name, as `Scheme.observer` has it -> what makes an observer."""


def new_observer(observer: str | Observer) -> Observer:
    """Return a new observer: of the kind that is called so, or a copy of one that has seen nothing yet.

    Raises:
        InvalidArgumentError: no kind is called so, or it is no observer.
    """
    if isinstance(observer, str):
        return OBSERVERS[_validation.choice("calibrate", "observer", observer, OBSERVERS)]()
    needed = ("update", "end_batch", "range", "held")
    if isinstance(observer, type) or not all(hasattr(observer, name) for name in needed):
        raise InvalidArgumentError(
            f"Expected an observer: one of {', '.join(map(repr, OBSERVERS))}, or an object such as "
            f"tfopt.quantization.observers.Percentile(99.9), got {observer!r}."
        )
    return copy.deepcopy(observer)


__all__ = [
    "OBSERVERS",
    "Entropy",
    "Histogram",
    "MeanSquaredError",
    "MinMax",
    "MovingAverage",
    "Observer",
    "Percentile",
    "new_observer",
]
