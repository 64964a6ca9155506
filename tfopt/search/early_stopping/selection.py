"""Which of the trials at a rung go on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Point = Sequence[float]
"""What is known of a trial at a rung, so that smaller is better; infinity for what was not measured."""


def going_on(points: Mapping[str, Point], reduction: int) -> set[str]:
    """Return the names of the trials that go on: the front, and the best until one in `reduction` does.

    Multi-objective successive halving (Schmucker et al., 2021, arXiv:2106.12639): trials are sorted into
    fronts, and within the last one that has room by an epsilon net, each time the one farthest from those
    chosen before it, so that all ends of the front go on. With one number for each trial this is the ranking
    of successive halving. Other than there, no trial of the first front is stopped, however many it holds:
    none is better in all that is known of it, so that it can still reach the front of the search.

    Args:
        points: name of a trial -> what is known of it; the first coordinate is the most important one.
        reduction: at least 2.
    """
    from tfopt.oracles.objectives import ranks

    names = list(points)
    found = ranks([tuple(points[name]) for name in names])
    quota = len(names) // reduction
    chosen: list[str] = []
    for rank in range(max(found, default=-1) + 1):
        front = [name for name, its in zip(names, found, strict=True) if its == rank]
        if rank == 0 or len(chosen) + len(front) <= quota:
            chosen += front
        elif len(chosen) < quota:
            chosen += _spread(front, points, quota - len(chosen))
    return set(chosen)


def _spread(front: Sequence[str], points: Mapping[str, Point], count: int) -> list[str]:
    """Return `count` of a front: the best in the first coordinate, then each the farthest from the others."""
    left = sorted(front, key=lambda name: (tuple(points[name]), name))
    sides = [_range([points[name][i] for name in front]) for i in range(len(points[left[0]]))]
    chosen = [left.pop(0)]
    while len(chosen) < count:
        farthest = max(left, key=lambda name: min(_distance(points[name], points[c], sides) for c in chosen))
        left.remove(farthest)
        chosen.append(farthest)
    return chosen


def _range(values: Sequence[float]) -> float:
    known = [value for value in values if math.isfinite(value)]
    return (max(known) - min(known) if known else 0.0) or 1.0


def _distance(one: Point, other: Point, sides: Sequence[float]) -> float:
    between = 0.0
    for a, b, side in zip(one, other, sides, strict=True):
        if a != b:  # infinity from itself is no number
            between += ((a - b) / side) ** 2
    return between
