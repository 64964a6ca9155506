"""The units with the lowest scores of the whole model."""

from __future__ import annotations

import numpy as np

from tfopt.channels.allocation.bisection import first_that_fits
from tfopt.channels.allocation.problem import Problem


def global_ranking(problem: Problem) -> np.ndarray:
    """Return the width of each group when the units with the lowest scores go first, whatever their group.

    Args:
        problem: which its least widths meet.
    """
    # A group keeps its best units whatever their scores are, which are then the last to go.
    last = [
        np.arange(len(units)) >= least for units, least in zip(problem.ranked, problem.least, strict=True)
    ]
    candidates = [problem.scores[units[free]] for units, free in zip(problem.ranked, last, strict=True)]
    group = np.repeat(np.arange(len(candidates)), [len(scores) for scores in candidates])
    by_score = group[np.argsort(np.concatenate([*candidates, np.zeros(0)]), kind="stable")]

    def widths_of(removed: int) -> np.ndarray:
        gone = np.bincount(by_score[:removed], minlength=len(candidates))
        return problem.nearest(problem.whole - gone)

    return first_that_fits(problem, widths_of, len(by_score))
