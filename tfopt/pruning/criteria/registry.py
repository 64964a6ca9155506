"""Criteria by their names."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from tfopt.errors import InvalidArgumentError
from tfopt.pruning.criteria.base import Criterion
from tfopt.pruning.criteria.magnitude import Magnitude
from tfopt.pruning.criteria.movement import Movement
from tfopt.pruning.criteria.random import Random
from tfopt.pruning.criteria.snip import Snip
from tfopt.pruning.criteria.taylor import Taylor

CRITERIA: dict[str, Criterion] = {
    each.name: each for each in (Magnitude(), Random(), Snip(), Taylor(), Movement())
}


def criterion_of(name: Any) -> Criterion:
    """Return the criterion of a name.

    Raises:
        InvalidArgumentError: there is none.
    """
    if isinstance(name, str) and name in CRITERIA:
        return CRITERIA[name]
    close = get_close_matches(str(name), CRITERIA, n=1)
    meant = f" Did you mean {close[0]!r}?" if close else ""
    raise InvalidArgumentError(
        f"Expected criterion to be one of {', '.join(map(repr, CRITERIA))}, got {name!r}.{meant}"
    )
