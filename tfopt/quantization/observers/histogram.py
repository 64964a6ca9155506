"""A histogram of a stream of values whose range is not known beforehand."""

from __future__ import annotations

import math

import numpy as np

from tfopt.quantization.observers.observer import finite

_NARROWEST = 2.0**-100


class Histogram:
    """Counts values in bins of equal width, which doubles when larger values come.

    The bins start at 0 in both directions and their width is a power of two, so that two neighbours become
    one exactly: the counts depend neither on the order of the values nor on how they came in batches.

    Args:
        bins: the number of bins on each side of 0, even. At least half of them are in use on one side.

    Attributes:
        bins: as given.
        width: of a bin; 0 before the first value that is not 0.
        counts: of shape (2 * bins,): `counts[bins + i]` values lie in [i * width, (i + 1) * width). Zeros are
            not among them, for every range represents them exactly.
        zeros: how many values were exactly 0.
        minimum, maximum: of all values.
    """

    def __init__(self, bins: int = 8192) -> None:
        self.bins = bins
        self.width = 0.0
        self.counts = np.zeros(2 * bins, np.int64)
        self.zeros = 0
        self.minimum, self.maximum = math.inf, -math.inf

    def update(self, values: np.ndarray) -> None:
        """Count a batch of values."""
        values = finite(values)
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        self.minimum, self.maximum = min(self.minimum, low), max(self.maximum, high)
        zeros = values.size - int(np.count_nonzero(values))
        self.zeros += zeros
        if zeros == values.size:
            return
        self._widen(max(-low, high))
        positions = np.floor(values * np.float32(1 / self.width)).astype(np.int32) + self.bins
        self.counts += np.bincount(positions, minlength=2 * self.bins)
        self.counts[self.bins] -= zeros

    def coarser(self, bins: int) -> Histogram:
        """Return the same values counted in at most `bins` bins on each side of 0, a power of two."""
        coarse = Histogram(bins)
        coarse.width = self.width * max(1, self.bins // bins)
        coarse.counts = self.counts.reshape(2 * bins, -1).sum(axis=1)
        coarse.zeros, coarse.minimum, coarse.maximum = self.zeros, self.minimum, self.maximum
        return coarse

    def magnitudes(self) -> np.ndarray:
        """Return the counts of the absolute values, of shape (bins,), without the empty bins at the end."""
        counts = self.counts[self.bins :] + self.counts[: self.bins][::-1]
        used = np.flatnonzero(counts)
        return counts[: used[-1] + 1] if used.size else counts[:0]

    def _widen(self, largest: float) -> None:
        """Widen the bins until `largest` lies in one."""
        needed = max(_NARROWEST, 2.0 ** math.frexp(largest / self.bins)[1])
        self.width = self.width or needed
        while self.width < needed:
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros_like(self.counts)
            self.counts[self.bins // 2 : self.bins // 2 + self.bins] = pairs
            self.width *= 2
