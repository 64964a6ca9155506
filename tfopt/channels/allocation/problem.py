"""The question that every method answers: how many units of each group stay."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import numpy as np

from tfopt.channels.costs.axis_sizes import AxisSizes
from tfopt.channels.costs.metric import Metric


@dataclasses.dataclass(frozen=True, eq=False)
class Problem:
    """What widths cost, and what they may cost.

    Attributes:
        sizes: the axes of the model.
        metrics: those with a limit.
        limits: metric -> the most that it may be.
        options: of each group the widths that it may have, rising; the last is all its units.
        scores: of each unit; those with the lowest go first. Comparable between groups.
    """

    sizes: AxisSizes
    metrics: Mapping[str, Metric]
    limits: Mapping[str, float]
    options: tuple[np.ndarray, ...]
    scores: np.ndarray

    def usage(self, widths: np.ndarray) -> np.ndarray:
        """Return the largest share of a limit that widths, of shape `(..., groups)`, use."""
        sizes = self.sizes.at_widths(widths)
        shares = [metric.at(sizes) / self.limits[name] for name, metric in self.metrics.items()]
        return np.asarray(np.max(shares, axis=0))

    def fits(self, widths: np.ndarray) -> bool:
        """Return whether widths, of shape `(groups,)`, meet all limits."""
        return bool(self.usage(widths) <= 1)

    @property
    def least(self) -> np.ndarray:
        """The least width of each group."""
        return np.array([widths[0] for widths in self.options])

    @property
    def whole(self) -> np.ndarray:
        """The width of each whole group."""
        return np.array([widths[-1] for widths in self.options])

    @functools.cached_property
    def ranked(self) -> tuple[np.ndarray, ...]:
        """The units of each group, the one with the highest score first."""
        return tuple(
            group.units[np.argsort(-self.scores[group.units], kind="stable")] for group in self.sizes.groups
        )

    def nearest(self, widths: np.ndarray) -> np.ndarray:
        """Return the option of each group that is nearest to `widths`, of shape `(groups,)`."""
        return np.array(
            [
                allowed[np.abs(allowed - width).argmin()]
                for allowed, width in zip(self.options, widths, strict=True)
            ]
        )

    def keep(self, widths: np.ndarray) -> np.ndarray:
        """Return whether each unit stays where the best of each group do."""
        stays = np.zeros(len(self.scores), bool)
        for units, width in zip(self.ranked, widths, strict=True):
            stays[units[: int(width)]] = True
        return stays

    def removed_scores(self, widths: np.ndarray) -> float:
        """Return the summed scores of what is removed."""
        return float(self.scores[~self.keep(widths)].sum())
