"""The clusters of one kernel: which centroids it gets, and which of them each weight belongs to."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from tfopt.clustering.centroids import METHODS
from tfopt.clustering.centroids.density import density, gap_beside_zero

_JOINT = ("kmeans++", "gradient")
"""Methods that share the centroids out between negative and positive weights by themselves."""


@dataclasses.dataclass(frozen=True, eq=False)
class Clusters:
    """The clusters of a kernel.

    Attributes:
        numbers: the cluster of each weight, from 0; of the kernel's shape. Each cluster has a weight.
        centroids: the value of each cluster, float32; those of one channel after those of another.
    """

    numbers: np.ndarray
    centroids: np.ndarray

    @property
    def values(self) -> np.ndarray:
        """The kernel with the centroid in place of each weight, float32."""
        return self.centroids[self.numbers]


def find(
    kernel: np.ndarray,
    clusters: int,
    *,
    init: str = "kmeans++",
    axes: Sequence[int] = (),
    alive: np.ndarray | None = None,
    importance: np.ndarray | None = None,
    seed: int = 0,
) -> Clusters:
    """Return the clusters of a kernel; each weight belongs to the centroid nearest to it.

    Args:
        kernel: the weights, of any shape.
        clusters: how many at most, in each channel or in all.
        init: a key of `tfopt.clustering.centroids.METHODS`.
        axes: those that number the channels, where each has centroids of its own.
        alive: False where a weight is zero and stays so: these are one cluster, and count as one.
        importance: how much the error of each weight counts, for `"gradient"`.
        seed: of what is drawn at random.
    """
    columns, back = _columns(kernel, axes)
    live = np.ones(columns.shape, bool) if alive is None else _columns(alive, axes)[0]
    weighed = None if importance is None else _columns(importance, axes)[0]
    numbers, found, count = np.empty(columns.shape, np.int32), [], 0
    for channel in range(columns.shape[1]):
        column, lives = columns[:, channel], live[:, channel]
        counts = None if weighed is None else weighed[:, channel]
        part = _of_channel(column, lives, counts, clusters, init, seed + channel)
        numbers[:, channel] = part.numbers + count
        found.append(part.centroids)
        count += len(part.centroids)
    return Clusters(back(numbers), np.concatenate(found))


def _of_channel(
    weights: np.ndarray,
    alive: np.ndarray,
    importance: np.ndarray | None,
    clusters: int,
    init: str,
    seed: int,
) -> Clusters:
    numbers = np.zeros(weights.shape, np.int32)
    if not alive.any():
        return Clusters(numbers, np.zeros(1, np.float32))
    counts = None if importance is None else importance[alive]
    if alive.all():
        centroids = METHODS[init](weights, clusters, counts, seed)
    else:
        centroids = _beside_zero(weights[alive], counts, clusters - 1, init, seed)
    centroids = np.asarray(centroids, np.float32)
    nearest = np.searchsorted((centroids[1:] + centroids[:-1]) / 2, weights[alive])
    used, nearest = np.unique(nearest, return_inverse=True)
    numbers[alive] = nearest.ravel()
    centroids = centroids[used]
    if alive.all():
        return Clusters(numbers, centroids)
    numbers[~alive] = len(centroids)
    return Clusters(numbers, np.append(centroids, np.float32(0)))


def _beside_zero(
    weights: np.ndarray, importance: np.ndarray | None, clusters: int, init: str, seed: int
) -> np.ndarray:
    """Return the centroids of weights beside a centroid at zero, shared out among the two signs.

    Negative weights get their share of the centroids, as in tensorflow-model-optimization, where the method
    is for weights in one interval.
    """
    negative, positive = weights[weights < 0], weights[weights > 0]
    if init in _JOINT or not len(negative) or not len(positive):
        return _of_interval(weights, importance, clusters, init, seed)
    below = int(np.round(clusters * (len(negative) / (len(negative) + len(positive)))))
    parts = [
        _of_interval(part, None, count, init, seed)
        for part, count in ((negative, below), (positive, clusters - below))
        if count
    ]
    return np.unique(np.concatenate(parts))


def _of_interval(
    weights: np.ndarray, importance: np.ndarray | None, clusters: int, init: str, seed: int
) -> np.ndarray:
    if init == "density":
        return density(weights, clusters, gap=gap_beside_zero(weights))
    return METHODS[init](weights, clusters, importance, seed)


def _columns(array: np.ndarray, axes: Sequence[int]) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Return an array as one column a channel, and what turns such columns back."""
    if not axes:
        return array.reshape(-1, 1), lambda columns: columns.reshape(array.shape)
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(array, axes, last)
    channels = int(np.prod(moved.shape[-len(axes) :]))
    return (
        moved.reshape(-1, channels),
        lambda columns: np.moveaxis(columns.reshape(moved.shape), last, axes),
    )
