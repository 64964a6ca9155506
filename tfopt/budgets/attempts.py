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
_ENOUGH = 0.96
"""The share after which nothing nearer is looked for: a measured time has up to 1 % for its error in it."""
_NEARER = NEAR, 0.98, 0.995
"""The share of an aim that a choice uses at least: more where that led to one that was tried before."""
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Best(Generic[Choice]):
    """The choice that was found.

    Attributes:
        choice: what.
        costs: metric -> what it costs, measured.
        note: a sentence why no limit is used to 95 %; empty where one is.
    """

    choice: Choice
    costs: Mapping[str, float]
    note: str = ""


def best_attempt(
    correction: Correction,
    propose: Callable[[Mapping[str, float], float], Attempt[Choice] | None],
    measured: Callable[[Choice], Mapping[str, float]],
    *,
    what: str,
) -> Best[Choice]:
    """Return the choice that meets all limits and uses the most of one, and what it costs.

    Args:
        correction: of predictions; it learns from each attempt.
        propose: returns what to try where predictions may be so much at most, metric -> aim, and should be
            so large a share of one aim at least; None where nothing is left to try.
        measured: returns metric -> what a choice costs.
        what: the choices are, in messages: `"widths"`.

    Raises:
        GoalError: no attempt met all limits. Its `best` is what the closest of them costs.
    """
    tried: dict[Hashable, tuple[float, Choice, Mapping[str, float]]] = {}
    best: tuple[float, Choice, Mapping[str, float]] | None = None
    caution, near = 1.0, iter(_NEARER[1:])
    share = _NEARER[0]
    while len(tried) < _ATTEMPTS and caution > _LEAST_CAUTION and not (best and best[0] >= _ENOUGH):
        attempt = propose({name: caution * aim for name, aim in correction.aims.items()}, share)
        if attempt is None:
            break
        if attempt.key in tried:
            if (finer := next(near, None)) is not None:
                share = finer
            elif best:
                break  # choices are not fine enough to come nearer
            else:
                caution *= _CAUTION
            continue
        found = measured(attempt.choice)
        usage = correction.usage(found)
        tried[attempt.key] = usage, attempt.choice, found
        logger.info("attempt %d uses %.1f %% of the budget: %s", len(tried), 100 * usage, _in_words(found))
        if correction.met(found) and (best is None or usage > best[0]):
            best = tried[attempt.key]
        correction.learn(attempt.predicted, found)
    if best is None:
        usage, _, closest = min(tried.values(), key=lambda each: each[0], default=(0.0, None, {}))
        raise GoalError(
            f"No {what} were found whose file meets the budget; the closest that were tried need "
            f"{_in_words(closest) or 'more'}. Allow a little more, or, if a latency is limited, repeat it "
            "while the machine has less other work.",
            best=closest,
        )
    usage, choice, costs = best
    above = min((each[0] for each in tried.values() if each[0] > usage), default=None)
    note = "" if usage >= NEAR else _note(what, usage, above)
    if note:
        logger.info("%s", note)
    return Best(choice=choice, costs=costs, note=note)


def _note(what: str, usage: float, above: float | None) -> str:
    """Return why so little of the budget is used, where the next larger choice uses `above`, if any."""
    larger = "none that cost more were tried" if above is None else f"the next larger ones use {above:.1%}"
    return f"The {what} use {usage:.1%} of the budget, and {larger}: nothing in between was found."


def _in_words(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {formatted(name, value)}" for name, value in found.items())
