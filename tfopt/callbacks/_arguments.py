"""Checks of the arguments that callbacks share."""

import math
import numbers
from collections.abc import Iterable
from typing import Any

from tfopt.errors import InvalidArgumentError


def number(
    owner: str, name: str, value: Any, *, above: float = -math.inf, at_least: float = -math.inf
) -> float:
    """Return `value` as a float if it is a finite number in its range."""
    bounds = [f"> {above:g}"] * (above > -math.inf) + [f">= {at_least:g}"] * (at_least > -math.inf)
    real = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    if not real or value <= above or value < at_least:
        raise InvalidArgumentError(
            f"{owner}: expected {name} to be a finite number {' and '.join(bounds)}, got {value!r}."
        )
    return float(value)


def whole(owner: str, name: str, value: Any, *, at_least: int) -> int:
    """Return `value` as an int if it is a whole number in its range."""
    if int(number(owner, name, value, at_least=at_least)) != value:
        raise InvalidArgumentError(f"{owner}: expected {name} to be a whole number, got {value!r}.")
    return int(value)


def choice(owner: str, name: str, value: Any, choices: Iterable[str | None]) -> Any:
    """Return `value` if it is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise InvalidArgumentError(
            f"{owner}: unknown {name} {value!r}; choose one of {', '.join(map(str, choices))}."
        )
    return value
