"""Checks of the arguments that schedules share."""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras

from tfopt import _validation
from tfopt.errors import InvalidArgumentError


def rate(schedule: str, name: str, value: float) -> float:
    """Return `value` as a float if it is a finite number >= 0."""
    return _validation.number(schedule, name, value, at_least=0)


def positive(schedule: str, name: str, value: float, *, at_most: float = math.inf) -> float:
    """Return `value` as a float if it is a finite number > 0, and <= `at_most`."""
    return _validation.number(schedule, name, value, above=0, at_most=at_most)


def share(schedule: str, name: str, value: float, *, zero: bool = False) -> float:
    """Return `value` as a float if it is in (0, 1), or [0, 1) with `zero`."""
    lowest = {"at_least": 0.0} if zero else {"above": 0.0}
    return _validation.number(schedule, name, value, **lowest, below=1)


def steps(schedule: str, name: str, value: int, *, at_least: int) -> int:
    """Return `value` as an int if it is a whole number of steps; `1e3` is one."""
    exact = _validation.is_number(value) and value == int(value)
    return _validation.whole(schedule, name, int(value) if exact else value, at_least=at_least)


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
