"""The least change that meets the limits, of changes in a row in which each costs less than the last."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tfopt.channels.allocation.problem import Problem


def first_that_fits(problem: Problem, widths_of: Callable[[int], np.ndarray], last: int) -> np.ndarray:
    """Return `widths_of(n)` for the least `n` in 0 to `last` that meets all limits.

    Args:
        problem: to be answered. Its limits are met by `widths_of(last)`.
        widths_of: widths that do not rise with `n`.
        last: the largest `n`.
    """
    low, high = -1, last  # low is too much, high fits
    while high - low > 1:
        middle = (low + high) // 2
        if problem.fits(widths_of(middle)):
            high = middle
        else:
            low = middle
    return widths_of(high)
