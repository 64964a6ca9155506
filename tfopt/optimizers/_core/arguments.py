"""Arguments that only optimizers have: the learning rate and patterns of variables' paths."""

import numbers
from collections.abc import Iterable
from typing import Annotated, Any

from tfopt import _validation
from tfopt.errors import InvalidArgumentError


def patterns(optimizer: str, name: str, value: Iterable[str]) -> tuple[str, ...]:
    """Return `value` as a tuple if it is several regular expressions, not a single one."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidArgumentError(
            f"{optimizer}: expected {name} to be a list of regular expressions, got {value!r}; "
            f'write it as ["bias"].'
        )
    return tuple(value)


def learning_rate(optimizer: str, name: str, value: Any) -> Any:
    """Return a rate that Keras takes: numbers as non-negative floats, schedules and callables as they are."""
    if callable(value):
        return value
    if not isinstance(value, numbers.Real):
        raise InvalidArgumentError(
            f"{optimizer}: expected {name} to be a number, a LearningRateSchedule or a function without "
            f"arguments, got {value!r}."
        )
    return _validation.number(optimizer, name, value, at_least=0)


LearningRate = Annotated[Any, learning_rate]
Patterns = Annotated[Iterable[str], patterns]
