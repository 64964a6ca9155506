"""Sums over all that a unit consists of."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np

from tfopt import graph
from tfopt.channels.groups import FIXED, Dependencies, Slice

_STATISTICS = ("moving_mean", "moving_variance", "adapt_mean", "adapt_variance")


def weight_slices(dependencies: Dependencies) -> list[Slice]:
    """Return the slices of weights: not of statistics, which normalizations collect and nothing trains."""
    layers = dict(graph.layers(dependencies.model))
    return [each for each in dependencies.slices if not _is_statistic(layers.get(each.layer), each.variable)]


def _is_statistic(layer: keras.Layer | None, variable: keras.Variable) -> bool:
    if variable.trainable:
        return False
    # In a layer that is frozen by trainable=False, weights are not trainable either.
    return layer is None or layer.trainable or variable.name in _STATISTICS


def other_axes(part: Slice) -> tuple[int, ...]:
    """Return the axes of the variable of a slice without its own."""
    return tuple(axis for axis in range(len(part.variable.shape)) if axis != part.axis)


def by_unit(part: Slice, along: np.ndarray, count: int) -> np.ndarray:
    """Return the sum of values along the axis of a slice for each of `count` units."""
    removable = part.units != FIXED
    return np.bincount(part.units[removable], weights=along[removable], minlength=count)


def summed(
    dependencies: Dependencies, parts: list[Slice], function: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Return the sum of `function` of the weights of each unit, over the slices `parts`."""
    total = np.zeros(dependencies.count)
    for part in parts:
        values = function(part.variable.numpy().astype(np.float64))
        total += by_unit(part, values.sum(axis=other_axes(part)), dependencies.count)
    return total
