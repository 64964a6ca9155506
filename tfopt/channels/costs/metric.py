"""What a metric of a model is to those who choose widths."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

import numpy as np

from tfopt.channels.costs.axis_sizes import AxisSizes

Part: TypeAlias = tuple[tuple[int, ...], Callable[[np.ndarray], np.ndarray]]
"""Groups, and a function from their widths, of shape `(..., groups)`, to a share of a metric, `(...)`."""


class Metric(Protocol):
    """A metric as a function of sizes."""

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """Return the metric, of shape `(...)`, for the sizes of all rows, of shape `(..., rows)`."""

    def parts(self, sizes: AxisSizes) -> Iterator[Part]:
        """Yield functions of the widths of some groups each, whose sum is the metric."""


@dataclasses.dataclass(frozen=True, eq=False)
class Corrected:
    """A metric as files have it: a straight line of what was predicted.

    Attributes:
        predicted: the metric.
        factor, offset: the corrected metric is `factor * predicted + offset`.
    """

    predicted: Metric
    factor: float = 1.0
    offset: float = 0.0

    def at(self, sizes: np.ndarray) -> np.ndarray:
        """Return the metric, of shape `(...)`, for the sizes of all rows, of shape `(..., rows)`."""
        return self.factor * self.predicted.at(sizes) + self.offset

    def parts(self, sizes: AxisSizes) -> Iterator[Part]:
        """Yield functions of the widths of some groups each, whose sum is the metric."""
        yield (), lambda widths: np.full(np.shape(widths)[:-1], self.offset)
        for groups, function in self.predicted.parts(sizes):
            yield groups, functools.partial(self._scaled, function)

    def _scaled(self, function: Callable[[np.ndarray], np.ndarray], widths: np.ndarray) -> np.ndarray:
        return self.factor * function(widths)
