"""What each option of a group costs in loss: measured on data, or by the scores of what is removed."""

from __future__ import annotations

import numpy as np

from tfopt.channels.allocation.problem import Problem


def losses_by_scores(problem: Problem) -> list[np.ndarray]:
    """Return of each group the summed scores of the units that each of its options removes."""
    found = []
    for units, allowed in zip(problem.ranked, problem.options, strict=True):
        kept = np.concatenate([[0.0], np.cumsum(problem.scores[units])])
        found.append(kept[-1] - kept[allowed])
    return found
