"""The constraints of a search, once it is known what trials are compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tfopt.budgets import Limit, formatted
from tfopt.search.goals.objectives import MAX, UnfitGoalError, is_share

_ROUNDING = 1e-7
"""A difference of two float32 metrics carries rounding of its own, as a share of them."""


class Baseline(Protocol):
    """What trials are compared with."""

    @property
    def metrics(self) -> Mapping[str, float | None]:
        """The metrics of the float model of the first trial."""

    @property
    def costs(self) -> Mapping[str, float | None]:
        """What the first trial costs; `latency` in seconds."""


@dataclass(frozen=True, kw_only=True)
class Bound:
    """A value that a metric must not be beyond.

    Attributes:
        option: `"keep"` or `"max"`, which named it.
        metric: its name.
        limit: the value.
        upper: whether the metric may be at most that; otherwise it may be at least that.
        scale: what a violation is a share of, above 0.
    """

    option: str
    metric: str
    limit: float
    upper: bool
    scale: float

    @property
    def name(self) -> str:
        """What the constraint is called."""
        return f"{self.option} {self.metric}"

    def violation(self, metrics: Mapping[str, float | None]) -> float:
        """Return by how much a metric is beyond the limit, in units of the scale; infinity without one."""
        value = metrics.get(self.metric)
        if value is None:
            return math.inf
        beyond = value - self.limit if self.upper else self.limit - value
        return max(0.0, beyond / self.scale - _ROUNDING)

    def told(self, value: float) -> str:
        """Return the sentence's end about a value beyond the limit: `"macs 7,200,000 is above 5,000,000"`."""
        side = "above" if self.upper else "below"
        return f"{self.metric} {shown(self.metric, value)} is {side} {shown(self.metric, self.limit)}"


def shown(name: str, value: float) -> str:
    """Return a value of a metric as people read it."""
    counted = name in ("bytes", "compressed_bytes", "macs", "params", "epochs", "training_macs")
    return formatted(name, value) if counted else f"{value:.4g}"


def kept(name: str, change: float, direction: str, baseline: Baseline) -> Bound:
    """Return how far a metric may change against the float model of the first trial.

    Raises:
        UnfitGoalError: the float model does not measure it, or no model can meet it.
    """
    before = baseline.metrics.get(name)
    if before is None:
        raise UnfitGoalError(f"Cannot keep {name!r}: the float model of the first trial does not measure it.")
    limit = before + change
    if is_share(name) and limit > 1:
        raise UnfitGoalError(
            f"No model can keep {name}={change:+g}: the float model of the first trial has {before:.4g}, and "
            f"{limit:.4g} is above 1. Ask for less."
        )
    return Bound(option="keep", metric=name, limit=limit, upper=direction != MAX, scale=abs(before) or 1.0)


def limited(name: str, limit: Limit, baseline: Baseline) -> Bound:
    """Return how much a trial may cost, where that is a share of what the first trial costs too.

    Raises:
        UnfitGoalError: what the first trial costs is not known.
    """
    original = baseline.costs.get(name)
    if original is None and (limit.relative or name == "latency"):
        raise UnfitGoalError(f"Cannot limit {name!r}: the first trial does not measure it.")
    most = limit.of(original or 0.0)
    if name == "latency":  # trials have the ratio to the first one's
        most /= original or 1.0
    return Bound(option="max", metric=name, limit=most, upper=True, scale=most)
