"""The interface of the criteria: how much a model needs each of its units."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np

from tfopt.channels.groups import Dependencies
from tfopt.channels.importance.samples import Samples


class Criterion(Protocol):
    """Scores the units of a model: the lowest are removed first.

    Scores are compared within a group as they are, and between groups after they were normalized.
    """

    needs_data: ClassVar[bool]
    """Whether it looks at samples."""
    needs_labels: ClassVar[bool]
    """Whether it looks at their labels, by a loss."""

    def __call__(self, dependencies: Dependencies, samples: Samples | None) -> np.ndarray:
        """Return a score of 0 or more for each unit, shape (dependencies.count,).

        Args:
            dependencies: of the model; it is left as it is.
            samples: for a criterion that needs data.
        """
