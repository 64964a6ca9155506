"""Any order: what a criterion must be better than."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfopt.channels.groups import Dependencies
from tfopt.channels.importance.samples import Samples


@dataclass(frozen=True)
class RandomOrder:
    """Random scores, uniform in [0, 1).

    Args:
        seed: 0 or more; the same scores for the same seed and number of units.
    """

    needs_data: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False

    seed: int = 0

    def __call__(self, dependencies: Dependencies, samples: Samples | None = None) -> np.ndarray:  # noqa: ARG002
        """Return a random score for each unit."""
        return np.random.default_rng(self.seed).random(dependencies.count)
