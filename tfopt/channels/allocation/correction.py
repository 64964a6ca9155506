"""Predictions corrected by what was measured."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfopt.channels.costs.metric import Corrected
from tfopt.channels.costs.model_costs import ModelCosts

_AIMS = {"bytes": 0.985, "latency": 0.975}
"""Metric -> the share of its limit that is aimed at."""
_MARGINS = {"bytes": 0.998, "latency": 0.995}
"""Metric -> the share of its limit that must not be exceeded: trained weights share fewer scales, and clocks vary."""
_SLOPES = (0.3, 3.0)
"""How far two measurements may bend the line that the first one gave."""


class Correction:
    """What was measured of a model and of what is left of it, and the straight lines through that.

    Args:
        costs: the predictions.
        original: metric -> that of the whole model, measured.
        limits: metric -> limit.

    Attributes:
        metrics: those with a limit, corrected.
    """

    def __init__(self, costs: ModelCosts, original: Mapping[str, float], limits: Mapping[str, float]) -> None:
        self._costs, self._limits = costs, limits
        whole = np.array([len(group.units) for group in costs.dependencies.groups])
        sizes = costs.sizes.at_widths(whole)
        self.metrics: dict[str, Corrected] = {}
        self._known: dict[str, list[tuple[float, float]]] = {}
        for name in limits:
            predicted = costs.terms[name]
            value = float(predicted.at(sizes))
            # What a file holds besides weights stays as it is; time is taken for proportional.
            self.metrics[name] = (
                Corrected(predicted, 1.0, original[name] - value)
                if name != "latency"
                else Corrected(predicted, original[name] / value)
            )
            self._known[name] = [(value, original[name])]

    @property
    def aims(self) -> dict[str, float]:
        """Metric -> what it is aimed at."""
        return {name: limit * _AIMS.get(name, 1.0) for name, limit in self._limits.items()}

    def met(self, found: Mapping[str, float]) -> bool:
        """Return whether measured costs meet all limits for certain."""
        return all(found[name] <= limit * _MARGINS.get(name, 1.0) for name, limit in self._limits.items())

    def learn(self, widths: np.ndarray, found: Mapping[str, float]) -> None:
        """Correct each metric by what was measured at these widths."""
        sizes = self._costs.sizes.at_widths(widths)
        for name, metric in self.metrics.items():
            predicted, real = float(metric.predicted.at(sizes)), found[name]
            (before, real_before), first = self._known[name][-1], self.metrics[name].factor
            self._known[name].append((predicted, real))
            slope = (real_before - real) / (before - predicted) if before != predicted else first
            if not _SLOPES[0] <= slope / first <= _SLOPES[1]:
                slope = first
            self.metrics[name] = Corrected(metric.predicted, slope, real - slope * predicted)
