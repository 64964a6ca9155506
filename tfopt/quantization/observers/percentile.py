"""The range that leaves out a given share of the values at each limit."""

from __future__ import annotations

import numpy as np

from tfopt import _validation
from tfopt.quantization.observers.histogram_observer import HistogramObserver


class Percentile(HistogramObserver):
    """From the percentile `100 - percentile` of the values to the percentile `percentile`.

    For symmetric activations, up to the percentile of the absolute values.

    Args:
        percentile: in (50, 100]; 99.99 leaves out one value of ten thousand at each end.

    Reference:
        Wu et al., 2020, Integer Quantization for Deep Learning Inference: Principles and Empirical
        Evaluation (arXiv 2004.09602), section 4.2.
    """

    def __init__(self, percentile: float = 99.99) -> None:
        super().__init__()
        self.percentile = _validation.number("Percentile", "percentile", percentile, above=50, at_most=100)

    def range(self, num_bits: int, symmetric: bool) -> tuple[float, float] | None:  # noqa: ARG002
        """Return the two percentiles, to one bin of the histogram."""
        seen = self._seen
        if seen.minimum > seen.maximum:
            return None
        if symmetric:
            counts = seen.magnitudes()
            bound = min(self._above(counts, 0) * seen.width, max(-seen.minimum, seen.maximum))
            return -bound, bound
        above = self._above(seen.counts[seen.bins :], int(seen.counts[: seen.bins].sum()))
        below = self._above(seen.counts[: seen.bins][::-1], int(seen.counts[seen.bins :].sum()))
        return max(-below * seen.width, seen.minimum), min(above * seen.width, seen.maximum)

    def _above(self, counts: np.ndarray, others: int) -> int:
        """Return how many bins from 0 on hold the percentile; `others` are the values on the other side."""
        left_out = (100 - self.percentile) * (self._seen.zeros + others + int(counts.sum())) / 100
        beyond = np.cumsum(counts[::-1])[::-1]  # values in this bin or further from 0
        return int(np.count_nonzero(beyond > left_out))
