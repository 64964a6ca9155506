"""The range of all values that were seen."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tfopt.quantization.observers.observer import finite


class MinMax:
    """From the smallest value to the largest: nothing is clipped, one outlier widens the range for all."""

    held: ClassVar[bool] = True

    def __init__(self) -> None:
        self._minimum, self._maximum = np.inf, -np.inf

    def update(self, values: np.ndarray) -> None:
        """See a batch."""
        values = finite(values)
        if values.size:
            self._minimum = min(self._minimum, float(values.min()))
            self._maximum = max(self._maximum, float(values.max()))

    def end_batch(self) -> None:
        """Do nothing: all values count alike, whichever batch they come in."""

    def range(self, num_bits: int, symmetric: bool) -> tuple[float, float] | None:  # noqa: ARG002
        """Return the smallest and the largest value."""
        return (self._minimum, self._maximum) if self._minimum <= self._maximum else None
