"""The goal of a search: one metric to make small or large, and what must be kept meanwhile."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    """The objective and the constraints of a search.

    Args:
        metric: the metric to improve, one of `DIRECTIONS`.
        keep: metric -> how far it may change against the float model of the first trial. Only
            `"accuracy"`: -0.01 lets the file's accuracy fall by at most one point.
    """

    metric: str
    keep: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        *,
        minimize: str | None = None,
        maximize: str | None = None,
        keep: Mapping[str, float] | None = None,
    ) -> Goal:
        """Return the goal that the arguments of `tfopt.search` describe; accuracy when they name none.

        Raises:
            InvalidArgumentError: both directions, an unknown metric, the wrong direction for a metric, a
                constraint on something else than accuracy or one that is no number.
        """
        if minimize and maximize:
            raise InvalidArgumentError(
                f"Expected one of minimize and maximize, got {minimize!r} and {maximize!r}. Optimize one and "
                "hold accuracy with keep, such as minimize bytes, keep accuracy=-0.01."
            )
        metric, direction = (minimize, "min") if minimize else (maximize or "accuracy", "max")
        allowed = [name for name, way in DIRECTIONS.items() if way == direction]
        if metric not in allowed:
            word = {"min": "minimize", "max": "maximize"}[direction]
            raise InvalidArgumentError(f"Cannot {word} {metric!r}; expected {' or '.join(allowed)}.")
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
        return cls(metric=metric, keep=keep)

    @property
    def direction(self) -> str:
        """`"min"` or `"max"`."""
        return DIRECTIONS[self.metric]

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

        Raises:
            InvalidArgumentError: the metric that the search improves was not measured.
        """
        value = metrics.get(self.metric)
        if value is None or not math.isfinite(value):
            raise InvalidArgumentError(
                f"The run has no metric {self.metric!r}; it has "
                f"{', '.join(name for name, value in metrics.items() if value is not None) or 'none'}."
            )
        violation = self.violation(metrics, baseline)
        if violation:
            return _INFEASIBLE * (1 + min(violation, 1.0))
        return value if self.direction == "min" else -value
