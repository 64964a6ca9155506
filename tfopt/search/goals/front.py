"""The trials that no other one beats in everything, and the one where their front bends."""

from __future__ import annotations

import math
from collections.abc import Sequence

Costs = Sequence[float]
"""The objectives of a trial so that smaller is better; infinity for one that was not measured."""


def non_dominated(trials: Sequence[Costs]) -> list[int]:
    """Return the indices of the trials that no others dominate, in order (a Pareto front).

    One trial dominates another when it is at least as good in each objective and better in one.
    """
    from tfopt.oracles.objectives import dominates

    return [i for i, point in enumerate(trials) if not any(dominates(other, point) for other in trials)]


def knee(front: Sequence[Costs]) -> int | None:
    """Return the index of the point of a front where it bends most; `None` where it does not bend.

    Each objective is scaled to its range on the front. The knee is the point farthest on the good side of the
    plane through the points that are best in one objective and worst in the others; of two objectives, of the
    straight line between the ends of the front. Of equally far ones the first.

    Reference:
        Das, 1999, On characterizing the "knee" of the Pareto curve based on Normal-Boundary Intersection.
    """
    known = [i for i, point in enumerate(front) if all(map(math.isfinite, point))]
    if len(known) < 3 or len(front[0]) < 2:
        return None
    lows, highs = (list(map(pick, zip(*(front[i] for i in known), strict=True))) for pick in (min, max))
    ranges = [(low, high - low) for low, high in zip(lows, highs, strict=True) if high > low]
    if len(ranges) < len(lows):
        return None

    def height(index: int) -> float:
        return sum((value - low) / width for value, (low, width) in zip(front[index], ranges, strict=True))

    found = min(known, key=height)
    return found if height(found) < 1 - 1e-9 else None
