"""The size of the weights of a unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tfopt.channels.groups import Dependencies
from tfopt.channels.importance.per_unit import summed, weight_slices
from tfopt.channels.importance.samples import Samples


@dataclass(frozen=True)
class Magnitude:
    """The L1 or L2 norm of all weights of a unit: those that make it, scale it and read it.

    Li et al., Pruning filters for efficient ConvNets, ICLR 2017, arXiv 1608.08710 (L1 of what makes it);
    Fang et al., DepGraph, CVPR 2023, arXiv 2301.12900 (over the group).

    Args:
        order: 1 or 2.
    """

    needs_data: ClassVar[bool] = False
    needs_labels: ClassVar[bool] = False

    order: int = 2

    def __call__(self, dependencies: Dependencies, samples: Samples | None = None) -> np.ndarray:  # noqa: ARG002
        """Return the norm of each unit."""
        parts = weight_slices(dependencies)
        if self.order == 1:
            return summed(dependencies, parts, np.abs)
        return np.sqrt(summed(dependencies, parts, np.square))
