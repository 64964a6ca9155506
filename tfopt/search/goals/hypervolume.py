"""The hypervolume of a search: one number for how good a front is, which grows with every better trial.

It is the volume that the front dominates, up to a reference point that the first trial fixes for good, so
that figures of one search, and of searches that begin with the same trial, can be compared. Each objective is
scaled by the first trial's value, and the volume is a share of that between the reference point and an ideal
where nothing is lost and nothing is spent:

- of what is made small, the reference is twice the first trial's value, the ideal 0;
- of a share in [0, 1] that is made large, such as an accuracy, the distance from 1 counts so: a first
  accuracy of 0.97 makes the reference 0.94. A distance below 0.01 is taken for 0.01;
- of anything else that is made large, the reference is 0 where the first value is positive, the ideal twice
  that.

The first trial alone has half of each objective, 0.25 with two and 0.125 with three. Values beyond the ideal,
such as a loss below 0, count more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tfopt.run.search_record import ReferenceRecord
from tfopt.search.goals.objectives import MAX

_LEAST_DISTANCE = 0.01
"""A first accuracy of 1 must not make every other one infinitely worse."""

_SIDE = 2.0
"""From the ideal to the reference point, in units of an objective's scale."""


def references(
    first: Mapping[str, float | None], directions: Mapping[str, str]
) -> dict[str, ReferenceRecord] | None:
    """Return how each objective is measured; `None` where the first trial did not measure one.

    Args:
        first: the metrics of the first trial.
        directions: objective -> `"min"` or `"max"`.
    """
    found = {}
    for name, direction in directions.items():
        value = first.get(name)
        if value is None or not math.isfinite(value):
            return None
        if direction == MAX:
            scale = max(1 - value, _LEAST_DISTANCE) if 0 <= value <= 1 else abs(value)
            point = value - scale
        else:
            scale = abs(value) or 1.0
            point = value + scale
        found[name] = ReferenceRecord(point=point, scale=scale, direction=direction)
    return found


def hypervolume(
    trials: Sequence[Mapping[str, float | None]], reference: Mapping[str, ReferenceRecord]
) -> float:
    """Return the hypervolume of the metrics of feasible trials; 0 without any that counts.

    Args:
        trials: the metrics of each; more than those of the front change nothing.
        reference: of `references`.
    """
    points = [_distances(each, reference) for each in trials]
    counted = [point for point in points if all(distance < 0 for distance in point)]
    if not counted:
        return 0.0
    import moocore

    volume = moocore.hypervolume(counted, ref=[0.0] * len(reference))
    return float(volume) / _SIDE ** len(reference)


def _distances(metrics: Mapping[str, float | None], reference: Mapping[str, ReferenceRecord]) -> list[float]:
    """Return the distance of each objective from the reference point in its scale, below 0 where better."""
    found = []
    for name, each in reference.items():
        value = metrics.get(name)
        if value is None or not math.isfinite(value):
            return [math.inf]
        worse = value - each.point if each.direction != MAX else each.point - value
        found.append(worse / each.scale)
    return found
