"""k-means in one dimension: Lloyd's iterations on sorted weights, from several starts.

Sorted, a cluster is a range, and its sum a difference of two cumulative sums: an iteration costs k log n
instead of k n, which is why no library for points of any dimension is used. The best of several starts is
taken; the centroids at equal distances are one of them, so that the result is never worse than these.
"""

from __future__ import annotations

import numpy as np

_RESTARTS = 3
_ITERATIONS = 300
_SEEDED_FROM = 1 << 16


def k_means(
    weights: np.ndarray, clusters: int, importance: np.ndarray | None = None, seed: int = 0
) -> np.ndarray:
    """Return the centroids with the least squared error that Lloyd's iterations find.

    Args:
        weights: a flat array, not empty.
        clusters: how many, 1 or more; of fewer different weights, these are the centroids.
        importance: how much the error of each weight counts, 0 or more; None for all alike.
        seed: of the starts.

    Reference:
        Arthur and Vassilvitskii, 2007, k-means++: The Advantages of Careful Seeding. Lloyd, 1982, Least
        Squares Quantization in PCM.
    """
    points = _Sorted(weights, importance)
    if len(points.values) <= clusters:
        return points.values.astype(np.float32)
    rng = np.random.default_rng(seed)
    low, high = points.values[0], points.values[-1]
    starts = [
        np.linspace(low, high, clusters),
        np.quantile(points.values, (np.arange(clusters) + 0.5) / clusters),
        *(_plus_plus(points, clusters, rng) for _ in range(_RESTARTS)),
    ]
    found = [_lloyd(points, start) for start in starts]
    best = min(found, key=points.error)
    return np.unique(best.astype(np.float32))


class _Sorted:
    """Different weights in order, with how much each counts and the cumulative sums of that."""

    def __init__(self, weights: np.ndarray, importance: np.ndarray | None) -> None:
        values, inverse = np.unique(np.asarray(weights, np.float64), return_inverse=True)
        self.values = values
        self.counts = np.bincount(inverse, None if importance is None else importance, len(values)).astype(
            np.float64
        )
        if not self.counts.any():
            self.counts[:] = 1
        self.middle = values.mean()
        shifted = values - self.middle  # sums of squares lose fewer digits so
        self._mass, self._sum, self._squares = (
            np.concatenate([[0.0], np.cumsum(self.counts * power)])
            for power in (np.ones_like(values), shifted, shifted**2)
        )

    def ranges(self, centroids: np.ndarray) -> np.ndarray:
        """Return where the weights of each centroid begin and the last ones end."""
        inner = np.searchsorted(self.values, (centroids[1:] + centroids[:-1]) / 2)
        return np.concatenate([[0], inner, [len(self.values)]])

    def means(self, ends: np.ndarray) -> np.ndarray:
        """Return the mean of each range; of one that counts for nothing, its middle; NaN of an empty one."""
        mass, total = np.diff(self._mass[ends]), np.diff(self._sum[ends])
        first, last = ends[:-1], ends[1:] - 1
        filled = last >= first
        middles = (self.values[np.minimum(first, len(self.values) - 1)] + self.values[last]) / 2
        means = np.where(mass > 0, total / np.where(mass > 0, mass, 1) + self.middle, middles)
        return np.where(filled, means, np.nan)

    def errors(self, ends: np.ndarray, centroids: np.ndarray) -> np.ndarray:
        """Return the squared error of each range."""
        c = centroids - self.middle
        mass, total, squares = (np.diff(sums[ends]) for sums in (self._mass, self._sum, self._squares))
        return np.maximum(squares - 2 * c * total + c**2 * mass, 0)

    def error(self, centroids: np.ndarray) -> float:
        """Return the squared error of sorted centroids."""
        return float(self.errors(self.ranges(centroids), centroids).sum())


def _lloyd(points: _Sorted, centroids: np.ndarray) -> np.ndarray:
    """Return centroids that are the means of their weights."""
    ends = np.zeros(0, int)
    for _ in range(_ITERATIONS):
        before, ends = ends, points.ranges(centroids)
        if np.array_equal(before, ends):
            break
        means = points.means(ends)
        empty = np.isnan(means)
        if empty.any():
            means[empty] = _worst(points, ends, np.where(empty, centroids, means), int(empty.sum()))
        centroids = np.sort(means)
    return centroids


def _worst(points: _Sorted, ends: np.ndarray, centroids: np.ndarray, count: int) -> np.ndarray:
    """Return the outermost weights of the ranges with the largest errors: where another centroid helps."""
    order = np.argsort(-points.errors(ends, centroids), kind="stable")[:count]
    first, last = points.values[ends[order]], points.values[ends[order + 1] - 1]
    farther = np.abs(first - centroids[order]) > np.abs(last - centroids[order])
    return np.where(farther, first, last)


def _plus_plus(points: _Sorted, clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return weights that are drawn with the squared distance to the nearest one drawn before."""
    step = -(-len(points.values) // _SEEDED_FROM)
    values, counts = points.values[::step], points.counts[::step]
    if not counts.any():
        counts = np.ones_like(counts)
    drawn = [rng.choice(values, p=counts / counts.sum())]
    nearest = (values - drawn[0]) ** 2
    while len(drawn) < clusters:
        chance = nearest * counts
        chance = nearest if not chance.any() else chance
        if not chance.any():  # every value that was left for the seeding is drawn
            break
        drawn.append(rng.choice(values, p=chance / chance.sum()))
        nearest = np.minimum(nearest, (values - drawn[-1]) ** 2)
    return np.sort(np.array(drawn))
