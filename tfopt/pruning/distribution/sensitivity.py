"""By sensitivity: kernels whose zeros raise the loss less get more of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

_LEVELS = (0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)


def levels(sparsity: float) -> tuple[float, ...]:
    """Return the sparsities that each kernel is tried at: fixed ones, and one above what is asked for."""
    return tuple(sorted({*_LEVELS, (1 + sparsity) / 2}))


def by_sensitivity(
    sizes: Sequence[int], increases: Sequence[Sequence[float]], tried: Sequence[float], sparsity: float
) -> list[float]:
    """Return the sparsity of each kernel, so that all together have `sparsity` at the least loss.

    The increase of the loss is taken as piecewise linear between the sparsities that were tried, as convex
    (its lower hull), and as the sum of those of the kernels alone. Then what is best is to take the cheapest
    piece of any kernel until there are zeros enough, the last piece in part.

    Args:
        sizes: weights of each kernel.
        increases: of the loss, with one kernel at a time at each of `tried`.
        tried: sparsities, rising, the last at least `sparsity`.
        sparsity: in [0, 1).
    """
    pieces = []
    for place, (size, increase) in enumerate(zip(sizes, increases, strict=True)):
        hull = _lower_hull([0.0, *tried], [0.0, *increase])
        for (start, low), (end, high) in itertools.pairwise(hull):
            zeros = (end - start) * size
            pieces.append(((high - low) / zeros, place, start, zeros))
    found = np.zeros(len(sizes))
    left = sparsity * sum(sizes)
    for _, place, _, zeros in sorted(pieces):
        taken = min(zeros, left)
        found[place] += taken / sizes[place]
        left -= taken
    return found.tolist()


def _lower_hull(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """Return the corners of the lower convex hull of points in the order of `x`, which never falls.

    More zeros do not make a model better by themselves: where the loss falls, that is noise.
    """
    hull: list[tuple[float, float]] = []
    for point in zip(x, np.maximum.accumulate(y).tolist(), strict=True):
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Return whether the slope from `b` to `c` is not above that from `a` to `b`."""
    return (c[1] - b[1]) * (b[0] - a[0]) <= (b[1] - a[1]) * (c[0] - b[0])
