"""What to aim a prediction at so that what is measured meets the limit, found attempt by attempt."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfopt.channels.costs.metric import Corrected, Metric
from tfopt.channels.costs.model_costs import ModelCosts

_AIMS = {"bytes": 0.985, "latency": 0.975}
"""Metric -> the share of its limit that is aimed at."""
_MARGINS = {"bytes": 0.998, "latency": 0.995}
"""Metric -> the share of its limit that counts as met: trained weights share fewer scales, clocks vary."""
_INSIDE = 0.15
"""How far from both ends of the interval between what was too much and what was not the next attempt is."""
_LEAST_CHANGE = 0.5
"""By how much a prediction may become smaller from one attempt to the next, while all were too much."""


class Correction:
    """The predicted and the measured costs of what was tried so far.

    Args:
        costs: the predictions.
        original: metric -> that of the whole model, measured.
        limits: metric -> limit.

    Attributes:
        metrics: the predicted metrics with a limit.
    """

    def __init__(self, costs: ModelCosts, original: Mapping[str, float], limits: Mapping[str, float]) -> None:
        self._costs, self._limits = costs, limits
        self.metrics: dict[str, Metric] = {name: costs.metrics[name] for name in limits}
        self._known: dict[str, list[tuple[float, float]]] = {name: [] for name in limits}
        self.learn(np.array([len(group.units) for group in costs.dependencies.groups]), original)

    def learn(self, widths: np.ndarray, found: Mapping[str, float]) -> None:
        """Note what was measured at these widths."""
        sizes = self._costs.sizes.at_widths(widths)
        for name, metric in self.metrics.items():
            self._known[name].append((float(metric.at(sizes)), found[name]))

    @property
    def corrected(self) -> dict[str, Metric]:
        """The metrics in the unit of what is measured, by the whole model alone."""
        found: dict[str, Metric] = {}
        for name, metric in self.metrics.items():
            predicted, real = self._known[name][0]
            # What a file holds besides weights stays as it is; time is taken for proportional.
            found[name] = (
                Corrected(metric, real / predicted)
                if name == "latency"
                else Corrected(metric, 1.0, real - predicted)
            )
        return found

    @property
    def aims(self) -> dict[str, float]:
        """Metric -> the prediction under which the measured cost is expected to be just below the limit."""
        return {name: self._aim(name) for name in self._limits}

    def met(self, found: Mapping[str, float]) -> bool:
        """Return whether measured costs meet all limits for certain."""
        return all(self._fits(name, found[name]) for name in self._limits)

    def _fits(self, name: str, real: float) -> bool:
        return real <= self._limits[name] * _MARGINS.get(name, 1.0)

    def _aim(self, name: str) -> float:
        wanted = self._limits[name] * _AIMS.get(name, 1.0)
        low = max((each for each in self._known[name] if self._fits(name, each[1])), default=None)
        above = [each for each in self._known[name] if not self._fits(name, each[1])]
        high = min((each for each in above if low is None or each[0] > low[0]), default=None)
        if low is None and high is not None:
            predicted, real = high
            aim = predicted * wanted / real if name == "latency" else predicted - (real - wanted)
            return max(aim, _LEAST_CHANGE * predicted) if len(above) > 1 else max(aim, 1e-3 * predicted)
        if low is not None and high is not None:
            share = (wanted - low[1]) / (high[1] - low[1])
            return low[0] + (high[0] - low[0]) * min(max(share, _INSIDE), 1 - _INSIDE)
        return max(predicted for predicted, _ in self._known[name])
