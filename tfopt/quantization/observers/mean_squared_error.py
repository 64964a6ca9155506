"""The range with the smallest mean squared error of rounding and clipping."""

from __future__ import annotations

import numpy as np

from tfopt.quantization.observers.histogram import Histogram
from tfopt.quantization.observers.histogram_observer import HistogramObserver

_BINS = 2048


class MeanSquaredError(HistogramObserver):
    """The range (l, h) that makes the expected squared error of quantizing smallest:

        sum_{x > h} (x - h)^2 + sum_{x < l} (l - x)^2 + n (h - l)^2 / (12 (2^bits - 1)^2)

    The last term is what rounding costs, an error spread evenly over the scale, for n values that are not 0:
    zeros are represented exactly. All ranges with limits at bins of a histogram are compared.

    Reference:
        Banner et al., 2019, Post Training 4-bit Quantization of Convolutional Networks for
        Rapid-Deployment (arXiv 1810.05723), section 3, for any distribution and two limits.
    """

    def range(self, num_bits: int, symmetric: bool) -> tuple[float, float] | None:
        """Return the best range, to one bin of the histogram."""
        seen = self._seen.coarser(_BINS)
        if seen.minimum > seen.maximum:
            return None
        if symmetric:
            bounds, clipping = _clipping(seen.magnitudes(), seen.width)
            rounding = _rounding(seen, bounds, 2 ** (num_bits - 1) - 1)
            bound = min(float(bounds[np.argmin(clipping + rounding)]), max(-seen.minimum, seen.maximum))
            return -bound, bound
        highs, above = _clipping(_used(seen.counts[_BINS:]), seen.width)
        lows, below = _clipping(_used(seen.counts[:_BINS][::-1]), seen.width)
        rounding = _rounding(seen, highs + lows[:, None], 2**num_bits - 1)
        low, high = np.unravel_index(np.argmin(above + below[:, None] + rounding), rounding.shape)
        return max(-float(lows[low]), seen.minimum), min(float(highs[high]), seen.maximum)


def _used(counts: np.ndarray) -> np.ndarray:
    used = np.flatnonzero(counts)
    return counts[: used[-1] + 1] if used.size else counts[:0]


def _clipping(counts: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the limits that a range may have on one side of 0, and the squared error of clipping there."""
    centers = (np.arange(len(counts)) + 0.5) * width
    limits = np.arange(len(counts) + 1) * width

    def beyond(values: np.ndarray) -> np.ndarray:
        return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])

    zeroth, first, second = (beyond(counts * centers**power) for power in range(3))
    return limits, second - 2 * limits * first + limits**2 * zeroth


def _rounding(seen: Histogram, widths: np.ndarray, intervals: int) -> np.ndarray:
    return seen.counts.sum() * (widths / intervals) ** 2 / 12
