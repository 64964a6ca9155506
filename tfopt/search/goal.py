"""The goal of a search: the metrics to make small or large, and what must be kept meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tfopt import _validation
from tfopt.errors import InvalidArgumentError

Metrics = Mapping[str, float | None]
"""The metrics of one exported file: accuracy (validation split), bytes, compressed_bytes and latency."""

DIRECTIONS = {"accuracy": "max", "bytes": "min", "compressed_bytes": "min", "latency": "min"}
"""The metrics that a search can improve -> which way is better."""

_INFEASIBLE = 1e12
"""Above every score of a feasible trial. Finite: keras-tuner takes NaN for a failure and averages with it."""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The objectives and the constraints of a search.

    Args:
        metrics: the metrics to improve, of `DIRECTIONS`. Of several, the first one says which trial of the
            front is called the best.
        keep: metric -> how far it may change against the float model of the first trial. Only
            `"accuracy"`: -0.01 lets the file's accuracy fall by at most one point.
    """

    metrics: tuple[str, ...]
    keep: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        *,
        minimize: str | Sequence[str] | None = None,
        maximize: str | Sequence[str] | None = None,
        keep: Mapping[str, float] | None = None,
    ) -> Goal:
        """Return the goal that the arguments of `tfopt.search` describe; accuracy when they name none.

        Raises:
            InvalidArgumentError: an unknown metric, one that is given twice, the wrong direction for a
                metric, a constraint on something else than accuracy or one that is no number.
        """
        asked = [("min", name) for name in _names("minimize", minimize)]
        asked += [("max", name) for name in _names("maximize", maximize)]
        for direction, metric in asked:
            allowed = [name for name, way in DIRECTIONS.items() if way == direction]
            if metric not in allowed:
                word = {"min": "minimize", "max": "maximize"}[direction]
                raise InvalidArgumentError(f"Cannot {word} {metric!r}; expected {' or '.join(allowed)}.")
        metrics = tuple(metric for _, metric in asked) or ("accuracy",)
        if len(set(metrics)) < len(metrics):
            raise InvalidArgumentError(f"Each goal can be given once, got {', '.join(metrics)}.")
        keep = _validation.mapping("search", "keep", keep, '{"accuracy": -0.01}')
        for name, change in keep.items():
            if name != "accuracy":
                raise InvalidArgumentError(
                    f"Cannot keep {name!r}; expected accuracy, such as accuracy=-0.01."
                )
            if not _validation.is_number(change) or not -1 <= change <= 1:
                raise InvalidArgumentError(
                    f"keep accuracy={change} is outside [-1, 1]. -0.01 lets it fall by one percentage point."
                )
        return cls(metrics=metrics, keep=keep)

    @property
    def metric(self) -> str:
        """The first metric."""
        return self.metrics[0]

    @property
    def direction(self) -> str:
        """`"min"` or `"max"`, which way the first metric is better."""
        return DIRECTIONS[self.metric]

    def check(self, metrics: Metrics) -> None:
        """Raise where a run does not measure what the search needs.

        Raises:
            InvalidArgumentError: it does not.
        """
        for name in (*self.metrics, *self.keep):
            value = metrics.get(name)
            if value is None or not math.isfinite(value):
                raise InvalidArgumentError(
                    f"The run has no metric {name!r}; it has "
                    f"{', '.join(name for name, value in metrics.items() if value is not None) or 'none'}."
                )

    def violation(self, metrics: Metrics, baseline: Metrics) -> float:
        """Return by how much `metrics` miss what must be kept; 0 where all is kept."""
        worst = 0.0
        for name, change in self.keep.items():
            before, after = baseline.get(name), metrics.get(name)
            if before is None or after is None:
                return math.inf
            # A difference of two float32 accuracies carries rounding of its own.
            missing = before + change - after - 1e-7
            worst = max(worst, missing)
        return worst

    def feasible(self, metrics: Metrics, baseline: Metrics) -> bool:
        """Return whether `metrics` keep what must be kept."""
        return self.violation(metrics, baseline) == 0

    def score(self, metrics: Metrics, baseline: Metrics) -> float:
        """Return a finite number, lower is better; every infeasible trial scores above all feasible ones.

        It is that of the first metric.

        Raises:
            InvalidArgumentError: the metric that the search improves was not measured.
        """
        value = metrics.get(self.metric)
        if value is None or not math.isfinite(value):
            self.check(metrics)
        assert value is not None
        violation = self.violation(metrics, baseline)
        if violation:
            return _INFEASIBLE * (1 + min(violation, 1.0))
        return value if self.direction == "min" else -value


def _names(argument: str, given: str | Sequence[str] | None) -> list[str]:
    """Return the metrics that an argument names: one, or a list."""
    if given is None:
        return []
    names = [given] if isinstance(given, str) else given
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise InvalidArgumentError(
            f"search: expected {argument} to be a metric or a list of them, got {given!r}."
        )
    return list(names)
