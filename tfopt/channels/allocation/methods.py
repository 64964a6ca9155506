"""The methods by name, and what is done after each: the room that is left is filled."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from tfopt.budgets.attempts import NEAR
from tfopt.channels.allocation.fill import filled
from tfopt.channels.allocation.global_ranking import global_ranking
from tfopt.channels.allocation.integer_program import IntegerProgram
from tfopt.channels.allocation.problem import Problem
from tfopt.channels.allocation.uniform import uniform

logger = logging.getLogger(__name__)

Losses: TypeAlias = "Sequence[np.ndarray]"
"""Of each group, the loss at each of its options."""

_ROUNDS = 4


def sensitivity(problem: Problem, losses: Losses) -> np.ndarray:
    """Return the widths of the least summed loss, by an integer program."""
    around = uniform(problem)
    found = [around, global_ranking(problem)]
    limits = dict(problem.limits)
    for _ in range(_ROUNDS):
        widths = IntegerProgram(dataclasses.replace(problem, limits=limits), losses, around).solve()
        if widths is None:
            break
        found.append(widths)
        usage = float(problem.usage(widths))
        if usage <= 1 and np.array_equal(widths, around):
            break
        around = widths
        if usage <= 1:
            break
        # What was taken for linear was not: aim lower by as much.
        limits = {name: limit / usage for name, limit in limits.items()}
    fitting = [widths for widths in found if problem.fits(widths)]
    return min(fitting, key=lambda widths: _loss(problem, losses, widths))


METHODS: Mapping[str, Callable[[Problem, Losses], np.ndarray]] = {
    "global": lambda problem, _: global_ranking(problem),
    "uniform": lambda problem, _: uniform(problem),
    "sensitivity": sensitivity,
}
"""Name -> function from a problem that its least widths meet, and losses, to the width of each group."""


def solved(problem: Problem, losses: Losses, method: str, near: float = NEAR) -> np.ndarray:
    """Return the width of each group that a method chooses, with the room that is left filled.

    Where the steps between options are too coarse to use a share `near` of a limit, the last units are finer.
    """
    widths = filled(problem, METHODS[method](problem, losses))
    options = problem.options
    while problem.usage(widths) < near and any((np.diff(allowed) > 1).any() for allowed in options):
        options = tuple(_halved(allowed) for allowed in options)
        widths = filled(dataclasses.replace(problem, options=options), widths)
    return widths


def _halved(allowed: np.ndarray) -> np.ndarray:
    """Return options with one more in the middle of each two."""
    return np.unique(np.r_[allowed, (allowed[:-1] + allowed[1:]) // 2])


def _loss(problem: Problem, losses: Losses, widths: np.ndarray) -> float:
    return float(
        sum(
            loss[np.searchsorted(allowed, width)]
            for loss, allowed, width in zip(losses, problem.options, widths, strict=True)
        )
    )
