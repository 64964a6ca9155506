"""What to aim a prediction at so that what is measured meets the limit, found attempt by attempt."""

from __future__ import annotations

import math
from collections.abc import Mapping

_AIMS = {"bytes": 0.985, "latency": 0.975}
"""Metric -> the share of its limit that is aimed at."""
_MARGINS = {"bytes": 0.998, "latency": 0.995}
"""Metric -> the share of its limit that counts as met: trained weights share fewer scales, clocks vary."""
_INSIDE = 0.15
"""How far from both ends of the interval between what was too much and what was not the next attempt is."""
_LEAST_CHANGE = 0.5
"""By how much a prediction may become smaller from one attempt to the next, while all were too much."""
_STEP_DOWN = 0.01
"""By how much it does at least after the first of them, twice that after each further one.

Times rise in steps, and a change in proportion to what is too much may stay on one of them."""


class Correction:
    """The predicted and the measured costs of what was tried so far.

    Args:
        limits: metric -> limit.
        predicted, measured: metric -> cost of the model as it is.
    """

    def __init__(
        self, limits: Mapping[str, float], predicted: Mapping[str, float], measured: Mapping[str, float]
    ) -> None:
        self._limits = limits
        self._known: dict[str, list[tuple[float, float]]] = {name: [] for name in limits}
        self.learn(predicted, measured)

    def learn(self, predicted: Mapping[str, float], measured: Mapping[str, float]) -> None:
        """Note what was measured where this was predicted."""
        for name, known in self._known.items():
            known.append((predicted[name], measured[name]))

    @property
    def aims(self) -> dict[str, float]:
        """Metric -> the prediction under which the measured cost is expected to be just below the limit."""
        return {name: self._aim(name) for name in self._limits}

    def usage(self, measured: Mapping[str, float]) -> float:
        """Return the largest share of a limit that is used."""
        return max(measured[name] / limit for name, limit in self._limits.items())

    def met(self, measured: Mapping[str, float]) -> bool:
        """Return whether measured costs meet all limits for certain."""
        return all(self._fits(name, measured[name]) for name in self._limits)

    def _fits(self, name: str, real: float) -> bool:
        return real <= self._limits[name] * _MARGINS.get(name, 1.0)

    def _aim(self, name: str) -> float:
        wanted = self._limits[name] * _AIMS.get(name, 1.0)
        known = self._known[name]
        if name not in _AIMS and all(math.isclose(predicted, real) for predicted, real in known):
            return wanted  # what is counted needs no correction
        low = max((each for each in known if self._fits(name, each[1])), default=None)
        above = [each for each in known if not self._fits(name, each[1])]
        high = min((each for each in above if low is None or each[0] > low[0]), default=None)
        if low is None and high is not None:
            predicted, real = high
            aim = predicted * wanted / real if name == "latency" else predicted - (real - wanted)
            if len(above) == 1:  # the model as it is
                return max(aim, 1e-3 * predicted)
            lower = 1 - _STEP_DOWN * 2 ** (len(above) - 1)
            return predicted * max(min(aim / predicted, lower), _LEAST_CHANGE)
        if low is not None and high is not None:
            share = (wanted - low[1]) / (high[1] - low[1])
            return low[0] + (high[0] - low[0]) * min(max(share, _INSIDE), 1 - _INSIDE)
        return max(predicted for predicted, _ in known)
