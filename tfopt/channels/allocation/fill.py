"""What the limits still have room for."""

from __future__ import annotations

import heapq

import numpy as np

from tfopt.channels.allocation.problem import Problem


def filled(problem: Problem, widths: np.ndarray) -> np.ndarray:
    """Return widths with the best of the units that are out back in, as long as the limits allow.

    Args:
        problem: that `widths` answer.
        widths: of shape `(groups,)`; each an option of its group, or between two.
    """
    widths = np.array(widths)
    waiting = [entry for group in range(len(widths)) if (entry := _next(problem, widths, group))]
    heapq.heapify(waiting)
    while waiting:
        _, group, wider = heapq.heappop(waiting)
        tried = widths.copy()
        tried[group] = wider
        # What does not fit now never will: costs only rise.
        if problem.fits(tried):
            widths = tried
            if entry := _next(problem, widths, group):
                heapq.heappush(waiting, entry)
    return widths


def _next(problem: Problem, widths: np.ndarray, group: int) -> tuple[float, int, int] | None:
    """Return what the next width of a group adds, negative and per unit, with the group and that width."""
    wider = problem.options[group][problem.options[group] > widths[group]]
    if not len(wider):
        return None
    added = problem.ranked[group][int(widths[group]) : int(wider[0])]
    return -float(problem.scores[added].mean()), group, int(wider[0])
