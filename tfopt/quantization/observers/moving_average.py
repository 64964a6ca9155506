"""The mean over batches of the range that each batch has."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tfopt import _validation
from tfopt.quantization.observers.observer import finite


class MovingAverage:
    """The average of the smallest and of the largest values of the batches.

    The first `1 / (1 - momentum)` batches have equal weights, the following ones exponential ones. Training
    goes on with the same average, so that ranges follow the weights.

    Args:
        momentum: the weight of the past, in [0, 1).

    Reference:
        Jacob et al., 2018, Quantization and Training of Neural Networks for Efficient
        Integer-Arithmetic-Only Inference (arXiv 1712.05877), section 3.1.
    """

    held: ClassVar[bool] = False

    def __init__(self, momentum: float = 0.99) -> None:
        self.momentum = _validation.number("MovingAverage", "momentum", momentum, at_least=0.0, below=1.0)
        self._batches = 0
        self._limits = np.zeros(2)
        self._batch: list[float] = []

    def update(self, values: np.ndarray) -> None:
        """See values of a batch."""
        values = finite(values)
        if values.size:
            self._batch += [float(values.min()), float(values.max())]

    def end_batch(self) -> None:
        """Take the range of what was seen since the last call into the average."""
        if self._batch:
            self._batches += 1
            rate = max(1 - self.momentum, 1 / self._batches)
            self._limits += rate * (np.array([min(self._batch), max(self._batch)]) - self._limits)
            self._batch = []

    def range(self, num_bits: int, symmetric: bool) -> tuple[float, float] | None:  # noqa: ARG002
        """Return the two averages."""
        return (float(self._limits[0]), float(self._limits[1])) if self._batches else None
