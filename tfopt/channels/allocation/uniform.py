"""The same share of every group."""

from __future__ import annotations

import numpy as np

from tfopt.channels.allocation.bisection import first_that_fits
from tfopt.channels.allocation.problem import Problem

_STEPS = 4096


def uniform(problem: Problem) -> np.ndarray:
    """Return the width of each group, all the same share of the whole as near as their options allow.

    Args:
        problem: which its least widths meet.
    """

    def widths_of(removed: int) -> np.ndarray:
        return problem.nearest(problem.whole * (1 - removed / _STEPS))

    return first_that_fits(problem, widths_of, _STEPS)
