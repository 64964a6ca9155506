"""Choices are tried until the measured costs of one meet all limits and nearly use them."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Hashable, Mapping
from typing import Generic, TypeVar

from tfopt.budgets.correction import Correction
from tfopt.budgets.limits import formatted
from tfopt.errors import GoalError

logger = logging.getLogger(__name__)

NEAR = 0.95
"""The share of a limit that is used at least, where choices are fine enough."""
_ATTEMPTS = 8
_CAUTION, _LEAST_CAUTION = 0.97, 0.3
"""By how much the aim is lowered each time that it leads to a choice which was too much, and how far."""

Choice = TypeVar("Choice")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Attempt(Generic[Choice]):
    """Something to try.

    Attributes:
        choice: what.
        key: equal for equal choices.
        predicted: metric -> what it is predicted to cost.
    """

    choice: Choice
    key: Hashable
    predicted: Mapping[str, float]


def best_attempt(
    correction: Correction,
    propose: Callable[[Mapping[str, float]], Attempt[Choice] | None],
    measured: Callable[[Choice], Mapping[str, float]],
    *,
    what: str,
) -> tuple[Choice, Mapping[str, float]]:
    """Return the choice that meets all limits and uses the most of one, and what it costs.

    Args:
        correction: of predictions; it learns from each attempt.
        propose: returns what to try where predictions may be so much at most, metric -> aim; None where
            nothing is left to try.
        measured: returns metric -> what a choice costs.
        what: the choices are, in an error message: `"widths"`.

    Raises:
        GoalError: no attempt met all limits. Its `best` is what the closest of them costs.
    """
    best: tuple[float, Choice, Mapping[str, float]] | None = None
    closest: tuple[float, Mapping[str, float]] = (float("inf"), {})
    tried: set[Hashable] = set()
    caution = 1.0
    while len(tried) < _ATTEMPTS and caution > _LEAST_CAUTION:
        attempt = propose({name: caution * aim for name, aim in correction.aims.items()})
        if attempt is None:
            break
        if attempt.key in tried:
            if best:
                break  # choices are not fine enough to come nearer
            caution *= _CAUTION
            continue
        tried.add(attempt.key)
        found = measured(attempt.choice)
        usage = correction.usage(found)
        closest = min(closest, (usage, found), key=lambda each: each[0])
        logger.info("attempt %d uses %.1f %% of the budget: %s", len(tried), 100 * usage, _in_words(found))
        if correction.met(found) and (best is None or usage > best[0]):
            best = (usage, attempt.choice, found)
        if best and best[0] >= NEAR:
            break
        correction.learn(attempt.predicted, found)
    if best is None:
        raise GoalError(
            f"No {what} were found whose file meets the budget; the closest that were tried need "
            f"{_in_words(closest[1]) or 'more'}. Allow a little more, or, if a latency is limited, repeat it "
            "while the machine has less other work.",
            best=closest[1],
        )
    return best[1], best[2]


def _in_words(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {formatted(name, value)}" for name, value in found.items())
