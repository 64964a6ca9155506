"""The range that loses the least information: TensorRT's calibration."""

from __future__ import annotations

import numpy as np

from tfopt.quantization.observers.histogram_observer import HistogramObserver

_BINS = 2048
_SMOOTHING = 1e-4
"""The share of the values that an empty last bin is given."""


class Entropy(HistogramObserver):
    """Clips magnitudes where the Kullback-Leibler divergence of the quantized distribution is smallest.

    For each threshold, the histogram of the absolute values up to it, with what lies beyond counted in the
    last bin, is compared with itself merged to the number of integers of one sign and spread out again.
    Values of one sign have all the integers, `2^bits`; else each sign has half of them. The range ends at
    the threshold or at the extreme value, whichever is nearer to 0. Zeros do not count: every range
    represents them exactly.

    Reference:
        Migacz, 2017, 8-bit Inference with TensorRT (GPU Technology Conference), pages 20 to 38.
    """

    def range(self, num_bits: int, symmetric: bool) -> tuple[float, float] | None:
        """Return the range up to the best threshold, to one bin of the histogram."""
        seen = self._seen.coarser(_BINS)
        if seen.minimum > seen.maximum:
            return None
        one_sign = seen.minimum >= 0 or seen.maximum <= 0
        levels = 2**num_bits if one_sign and not symmetric else 2 ** (num_bits - 1)
        threshold = _best_threshold(seen.magnitudes().astype(np.float64), levels) * seen.width
        return max(seen.minimum, -threshold), min(seen.maximum, threshold)


def _best_threshold(counts: np.ndarray, levels: int) -> int:
    """Return after how many bins to clip, from `levels` on; all where there are no more."""
    candidates = range(levels, len(counts) + 1)
    beyond = counts.sum() - np.cumsum(counts)
    divergences = [_divergence(counts[:end], beyond[end - 1], levels) for end in candidates]
    return candidates[int(np.argmin(divergences))] if divergences else len(counts)


def _divergence(counts: np.ndarray, beyond: float, levels: int) -> float:
    """Return how far `counts` merged to `levels` is from `counts` with the outliers in the last bin."""
    if not counts.any():
        return np.inf
    if beyond and not counts[-1]:
        # Outliers alone in the last bin would make every such divergence infinite.
        counts = np.append(counts[:-1], counts.sum() * _SMOOTHING)
    reference = counts.copy()
    reference[-1] += beyond
    present = counts > 0
    starts = -(-np.arange(levels) * len(counts) // levels)
    sums, filled = np.add.reduceat(counts, starts), np.add.reduceat(present.astype(np.float64), starts)
    spread = np.repeat(sums / np.maximum(filled, 1), np.diff(starts, append=len(counts)))
    p, q = reference[present] / reference.sum(), spread[present] / counts.sum()
    return float(np.sum(p * np.log(p / q)))
