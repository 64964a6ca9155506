"""Checks of arguments that many objects share: one place for what counts as a number, and for the wording."""

import math
import numbers
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from tfopt.errors import InvalidArgumentError

T = TypeVar("T")


def is_number(value: Any) -> bool:
    """Return whether `value` is a finite real number. `True` and `False` are none."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def is_whole(value: Any) -> bool:
    """Return whether `value` is an integer. `True` and `False` are none, nor is `2.0`."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def number(
    owner: str,
    name: str,
    value: Any,
    *,
    above: float = -math.inf,
    at_least: float = -math.inf,
    below: float = math.inf,
    at_most: float = math.inf,
) -> float:
    """Return `value` as a float if it is a finite number in its range.

    Args:
        owner: what the argument belongs to, for the message.
        name: what the argument is called.
        value: the argument.
        above, at_least, below, at_most: the limits of the range, left out or in.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not is_number(value) or not (above < value < below and at_least <= value <= at_most):
        expected = " ".join(["a finite number", *_range(above, at_least, below, at_most)])
        raise InvalidArgumentError(f"{owner}: expected {name} to be {expected}, got {value!r}.")
    return float(value)


def whole(owner: str, name: str, value: Any, *, at_least: int) -> int:
    """Return `value` as an int if it is an integer of `at_least` so much.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not is_whole(value) or value < at_least:
        raise InvalidArgumentError(
            f"{owner}: expected {name} to be a whole number >= {at_least}, got {value!r}."
        )
    return int(value)


def steps(owner: str, name: str, value: Any, *, at_least: int) -> int:
    """Return `value` as an int if it is a whole number of steps; `1e3` is one.

    Raises:
        InvalidArgumentError: it is not.
    """
    exact = is_number(value) and value == int(value)
    return whole(owner, name, int(value) if exact else value, at_least=at_least)


def choice(owner: str, name: str, value: T, choices: Iterable[T]) -> T:
    """Return `value` if it is one of `choices`.

    Raises:
        InvalidArgumentError: it is not.
    """
    choices = list(choices)
    if value not in choices:
        raise InvalidArgumentError(
            f"{owner}: expected {name} to be one of {', '.join(map(repr, choices))}, got {value!r}."
        )
    return value


def path(owner: str, name: str, value: Any) -> Path:
    """Return `value` as a `Path` if it is text or a path.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not isinstance(value, str | os.PathLike):
        raise InvalidArgumentError(f"{owner}: expected {name} to be a path, got {value!r}.")
    return Path(value)


def mapping(owner: str, name: str, value: Any, example: str) -> dict[str, Any]:
    """Return `value` as a dict if it is a mapping with text as its keys; `{}` for `None`.

    Args:
        owner, name, value: see `number`.
        example: what the message shows.

    Raises:
        InvalidArgumentError: it is not.
    """
    value = {} if value is None else value
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise InvalidArgumentError(f"{owner}: expected {name} to be a dict such as {example}, got {value!r}.")
    return dict(value)


def flag(owner: str, name: str, value: Any) -> bool:
    """Return `value` if it is `True` or `False`.

    Raises:
        InvalidArgumentError: it is not.
    """
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{owner}: expected {name} to be True or False, got {value!r}.")
    return value


def _range(above: float, at_least: float, below: float, at_most: float) -> list[str]:
    left = f"({above:g}" if above > -math.inf else f"[{at_least:g}"
    right = f"{below:g})" if below < math.inf else f"{at_most:g}]"
    if max(above, at_least) == -math.inf or min(below, at_most) == math.inf:
        signs = {">": above, ">=": at_least, "<": below, "<=": at_most}
        return [f"{sign} {end:g}" for sign, end in signs.items() if math.isfinite(end)]
    return [f"in {left}, {right}"]
