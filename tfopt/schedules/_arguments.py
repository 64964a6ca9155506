"""Checks of the arguments that schedules share."""

import itertools
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from tfopt.errors import InvalidArgumentError


def rate(schedule: str, name: str, value: float) -> float:
    """Return `value` as a float if it is a finite number >= 0."""
    if not _is_number(value) or value < 0:
        raise InvalidArgumentError(f"{schedule}: expected {name} to be a finite number >= 0, got {value!r}.")
    return float(value)


def positive(schedule: str, name: str, value: float, *, at_most: float = math.inf) -> float:
    """Return `value` as a float if it is a finite number > 0, and <= `at_most`."""
    if not _is_number(value) or not 0 < value <= at_most:
        limit = "" if at_most == math.inf else f" and <= {at_most:g}"
        raise InvalidArgumentError(
            f"{schedule}: expected {name} to be a finite number > 0{limit}, got {value!r}."
        )
    return float(value)


def share(schedule: str, name: str, value: float, *, zero: bool = False) -> float:
    """Return `value` as a float if it is in (0, 1), or [0, 1) with `zero`."""
    if not _is_number(value) or not 0 <= value < 1 or (value == 0 and not zero):
        interval = "[0, 1)" if zero else "(0, 1)"
        raise InvalidArgumentError(f"{schedule}: expected {name} to be in {interval}, got {value!r}.")
    return float(value)


def steps(schedule: str, name: str, value: int, *, at_least: int) -> int:
    """Return `value` as an int if it is a whole number of steps."""
    if not _is_number(value) or value != math.floor(value) or value < at_least:
        raise InvalidArgumentError(
            f"{schedule}: expected {name} to be a whole number of updates >= {at_least}, got {value!r}."
        )
    return int(value)


def milestones(schedule: str, value: Iterable[int]) -> list[int]:
    """Return `value` as a list of ints if they are steps >= 1, each later than the one before."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise InvalidArgumentError(
            f"{schedule}: expected milestones to be a list of updates such as [30, 60], got {value!r}."
        )
    checked = [steps(schedule, "each of milestones", step, at_least=1) for step in value]
    if any(later <= earlier for earlier, later in itertools.pairwise(checked)):
        raise InvalidArgumentError(
            f"{schedule}: expected milestones to increase, got {checked}. Sort them and drop what is double."
        )
    return checked


def choice(schedule: str, name: str, value: str, choices: Iterable[str]) -> str:
    """Return `value` if it is one of `choices`."""
    choices = list(choices)
    if value not in choices:
        raise InvalidArgumentError(
            f"{schedule}: expected {name} to be one of {', '.join(map(repr, choices))}, got {value!r}."
        )
    return value


def schedule(kind: str, name: str, value: Any) -> Any:
    """Return `value` if it is a schedule."""
    if not isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        raise InvalidArgumentError(
            f"{kind}: expected {name} to be a LearningRateSchedule, such as "
            f"tfopt.schedules.Step(0.1, step_size=30); got {value!r}."
        )
    return value


def schedules(kind: str, value: Sequence) -> list:
    """Return `value` as a list if it holds one schedule or more; numbers in it are constant rates."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise InvalidArgumentError(f"{kind}: expected schedules to be a list of schedules, got {value!r}.")
    checked = [
        rate(kind, "a constant in schedules", each)
        if isinstance(each, int | float)
        else schedule(kind, "each of schedules", each)
        for each in value
    ]
    if not checked:
        raise InvalidArgumentError(f"{kind}: expected schedules to hold at least one, got none.")
    return checked


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
