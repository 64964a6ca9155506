"""The goal of a search: the metrics to make small or large, what is kept, and what trials may cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tfopt import _validation
from tfopt.budgets import Budgets
from tfopt.errors import InvalidArgumentError
from tfopt.search.goals.bounds import Baseline, Bound, kept, limited
from tfopt.search.goals.objectives import (
    COSTS,
    MAX,
    MIN,
    UnfitGoalError,
    direction_of,
    is_share,
    unknown_metric,
)

Metrics = Mapping[str, float | None]
"""The metrics of one exported file: those of the model on the validation split, and `objectives.COSTS`."""

_INFEASIBLE = 1e12
"""Above every score of a feasible trial. Finite: keras-tuner takes NaN for a failure and averages with it."""

_WORDS = {MIN: "minimize", MAX: "maximize"}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The objectives and the constraints of a search.

    Args:
        directions: metric to improve -> `"min"` or `"max"`. Of several, the first one says which trial is
            called the best.
        keep: metric of the model -> how far it may change against the float model of the first trial: -0.01
            of an accuracy lets it fall by at most one point, 0.1 of an error lets it grow by 0.1.
        limits: what a trial may cost at most; shares are of what the first trial costs.
    """

    directions: Mapping[str, str]
    keep: Mapping[str, float] = field(default_factory=dict)
    limits: Budgets = field(default_factory=Budgets)

    @classmethod
    def of(
        cls,
        *,
        minimize: str | Sequence[str] | None = None,
        maximize: str | Sequence[str] | None = None,
        keep: Mapping[str, float] | None = None,
        max: Mapping[str, Any] | None = None,
    ) -> Goal:
        """Return the goal that the arguments of `tfopt.search` describe; accuracy when they name none.

        Raises:
            InvalidArgumentError: a metric is given twice, or the wrong way; what is kept is no metric of the
                model, or no number; a limit is none.
        """
        asked = [(MIN, name) for name in _names("minimize", minimize)]
        asked += [(MAX, name) for name in _names("maximize", maximize)]
        for direction, metric in asked:
            _check_direction(metric, direction)
        names = [metric for _, metric in asked]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            told = "both minimized and maximized" if len({*asked}) == len(asked) else "given twice"
            raise InvalidArgumentError(f"The goal {twice[0]!r} is {told}: give each metric once.")
        directions = {metric: direction for direction, metric in asked} or {"accuracy": MAX}
        keep = _validation.mapping("search", "keep", keep, '{"accuracy": -0.01}')
        for name, change in keep.items():
            _check_keep(name, change, directions.get(name))
        limits = Budgets.from_mapping({} if max is None else max)
        return cls(directions=directions, keep=dict(keep), limits=limits)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics to improve, in order."""
        return tuple(self.directions)

    @property
    def metric(self) -> str:
        """The first metric."""
        return self.metrics[0]

    @property
    def direction(self) -> str:
        """`"min"` or `"max"`, which way the first metric is better."""
        return self.directions[self.metric]

    @property
    def kept_directions(self) -> dict[str, str]:
        """Metric to keep -> `"min"` or `"max"`, which way it is better."""
        return {name: self._direction(name) for name in self.keep}

    @property
    def of_model(self) -> tuple[str, ...]:
        """The metrics of the model that are improved or kept."""
        return tuple(name for name in dict.fromkeys([*self.metrics, *self.keep]) if name not in COSTS)

    @property
    def constraints(self) -> tuple[str, ...]:
        """The names of what limits trials, as `Bound.name` has them."""
        return (*(f"keep {name}" for name in self.keep), *(f"max {name}" for name in self.limits.limits))

    def describe(self) -> str:
        """Return the goal in words, as what a search is to do."""
        parts = [f"{_WORDS[way]} {name}" for name, way in self.directions.items()]
        parts += [f"keep {name} within {change:+g}" for name, change in self.keep.items()]
        return ", ".join(parts + ([self.limits.describe()] if self.limits else []))

    def check(self, metrics: Metrics) -> None:
        """Raise where a run does not measure what the search needs.

        Raises:
            UnfitGoalError: it does not.
        """
        for name in (*self.metrics, *self.keep, *self.limits.limits):
            value = metrics.get(name)
            if value is None or not math.isfinite(value):
                raise UnfitGoalError(unknown_metric(name, _of_model(metrics)))

    def bounds(self, baseline: Baseline) -> tuple[Bound, ...]:
        """Return what limits trials, against what they are compared with.

        Raises:
            UnfitGoalError: no model can meet one, or the first trial does not measure what it is about.
        """
        found = [kept(name, change, self._direction(name), baseline) for name, change in self.keep.items()]
        found += [limited(name, limit, baseline) for name, limit in self.limits.limits.items()]
        return tuple(found)

    def violations(self, metrics: Metrics, baseline: Baseline) -> dict[str, float]:
        """Return constraint -> by how much `metrics` miss it, as a share of it; 0 where it is met."""
        return {bound.name: bound.violation(metrics) for bound in self.bounds(baseline)}

    def violation(self, metrics: Metrics, baseline: Baseline) -> float:
        """Return by how much `metrics` miss all constraints together; 0 where they are met."""
        return sum(self.violations(metrics, baseline).values())

    def feasible(self, metrics: Metrics, baseline: Baseline) -> bool:
        """Return whether `metrics` meet all constraints."""
        return self.violation(metrics, baseline) == 0

    def costs(self, metrics: Metrics) -> tuple[float, ...]:
        """Return the objectives so that smaller is better; infinity for what was not measured."""
        return tuple(_cost(metrics.get(name), way) for name, way in self.directions.items())

    def score(self, metrics: Metrics, baseline: Baseline) -> float:
        """Return a finite number, lower is better; every infeasible trial scores above all feasible ones.

        It is that of the first metric.

        Raises:
            UnfitGoalError: the metric that the search improves was not measured.
        """
        value = self.costs(metrics)[0]
        if not math.isfinite(value):
            raise UnfitGoalError(unknown_metric(self.metric, _of_model(metrics)))
        violation = self.violation(metrics, baseline)
        return _INFEASIBLE * (1 + min(violation, 1.0)) if violation else value

    def _direction(self, name: str) -> str:
        """Return which way a metric that is kept is better; where no name tells, the sign of the change."""
        known = self.directions.get(name) or direction_of(name)
        return known or (MAX if self.keep[name] < 0 else MIN)


def _cost(value: float | None, direction: str) -> float:
    if value is None:
        return math.inf
    return value if direction == MIN else -value


def _of_model(metrics: Metrics) -> list[str]:
    return [name for name, value in metrics.items() if value is not None and name not in COSTS]


def _check_direction(metric: str, direction: str) -> None:
    better = direction_of(metric)
    if better not in (None, direction):
        larger = {MIN: "smaller", MAX: "larger"}[str(better)]
        raise InvalidArgumentError(
            f"Cannot {_WORDS[direction]} {metric!r}, which is better when it is {larger}: "
            f"{_WORDS[str(better)]} it."
        )


def _check_keep(name: str, change: Any, direction: str | None) -> None:
    if name in COSTS:
        raise InvalidArgumentError(
            f"Cannot keep {name!r}, which is a cost: limit it with --max {name}=0.5 (max={{{name!r}: 0.5}})."
        )
    if not _validation.is_number(change):
        raise InvalidArgumentError(
            f"keep {name}={change} is no number. accuracy=-0.01 lets it fall by one percentage point."
        )
    if is_share(name) and not -1 <= change <= 1:
        raise InvalidArgumentError(
            f"keep {name}={change} is outside [-1, 1]. -0.01 lets it fall by one percentage point."
        )
    if change == 0 and direction is None and direction_of(name) is None:
        raise InvalidArgumentError(
            f"keep {name}=0 does not say which way {name!r} is better: give a small change, negative where a "
            "larger one is better and positive where a smaller one is."
        )


def _names(argument: str, given: str | Sequence[str] | None) -> list[str]:
    """Return the metrics that an argument names: one, or a list."""
    if given is None:
        return []
    names: Iterable[Any] = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) and name for name in names):
        raise InvalidArgumentError(
            f"search: expected {argument} to be a metric or a list of them, got {given!r}."
        )
    return list(names)
