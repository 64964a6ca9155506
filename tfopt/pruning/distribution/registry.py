"""Distributions by their names."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from tfopt.errors import InvalidArgumentError

DISTRIBUTIONS = ("uniform", "global", "erk", "sensitivity")
_OF_SCOPE = {"layer": "uniform", "global": "global"}


def distribution_of(distribution: Any, scope: Any) -> str:
    """Return the distribution that two arguments name; `scope` is the older one of them.

    Raises:
        InvalidArgumentError: there is no such distribution or scope, or the two contradict one another.
    """
    if scope not in _OF_SCOPE:
        raise InvalidArgumentError(f'scope must be "layer" or "global", got {scope!r}.')
    if distribution is None:
        return _OF_SCOPE[scope]
    if distribution not in DISTRIBUTIONS:
        close = get_close_matches(str(distribution), DISTRIBUTIONS, n=1)
        meant = f" Did you mean {close[0]!r}?" if close else ""
        raise InvalidArgumentError(
            f"Expected distribution to be one of {', '.join(map(repr, DISTRIBUTIONS))}, got "
            f"{distribution!r}.{meant}"
        )
    if scope == "global" and distribution != "global":
        raise InvalidArgumentError(
            f'scope="global" is distribution="global", got distribution={distribution!r} as well: leave '
            "scope out."
        )
    return distribution
