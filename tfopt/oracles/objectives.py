"""What the trials of a search are compared by: objectives, constraints, and which trial dominates which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keras_tuner import Objective
from keras_tuner.src.engine.objective import MultiObjective

from tfopt import _validation
from tfopt.errors import InvalidArgumentError


@dataclass(frozen=True)
class Constraint:
    """A limit of a metric that every trial reports. Trials beyond it are infeasible.

    Args:
        metric: its name.
        at_most: the largest value allowed.
        at_least: the smallest value allowed.

    Raises:
        InvalidArgumentError: not exactly one of the limits is given, or it is no number.
    """

    metric: str
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("at_most", "at_least") if getattr(self, name) is not None]
        if len(given) != 1:
            raise InvalidArgumentError(
                f"Constraint({self.metric!r}): expected one of at_most and at_least, got {len(given)}."
            )
        _validation.number("Constraint", given[0], getattr(self, given[0]))

    def violation(self, metrics: Mapping[str, float]) -> float:
        """Return by how much `metrics` miss the limit, in units of the metric; 0 or less where it is kept."""
        value = metrics[self.metric]
        return value - self.at_most if self.at_most is not None else (self.at_least or 0.0) - value


class Objectives(MultiObjective):
    """Several objectives that are not added up, as keras-tuner does.

    Towards keras-tuner it is the first of them: that one chooses the best epoch of a training, and a trial
    may return a plain dict of metrics, for which keras-tuner looks up the name of the objective.
    """

    def __init__(self, objectives: Sequence[Objective]) -> None:
        super().__init__(list(objectives))
        self.name = objectives[0].name
        self.direction = objectives[0].direction

    def get_value(self, logs: Mapping[str, float]) -> float:
        """Return the value of the first objective."""
        return logs[self.name]


def costs(values: Sequence[float], objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return the values of objectives so that smaller is better."""
    return tuple(
        value if objective.direction == "min" else -value
        for value, objective in zip(values, objectives, strict=True)
    )


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return whether costs are nowhere larger than others and somewhere smaller."""
    return tuple(one) != tuple(other) and all(a <= b for a, b in zip(one, other, strict=True))


def ranks(points: Sequence[Sequence[float]]) -> list[int]:
    """Return the non-dominated rank of each point of costs: 0 on the front, 1 on the front without it, ..."""
    found = [-1] * len(points)
    left = list(range(len(points)))
    rank = 0
    while left:
        front = [i for i in left if not any(dominates(points[j], points[i]) for j in left)]
        for i in front:
            found[i] = rank
        left = [i for i in left if found[i] < 0]
        rank += 1
    return found
