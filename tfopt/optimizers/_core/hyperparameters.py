"""Checks of the hyperparameters that optimizers share."""

import numbers
from collections.abc import Iterable
from typing import Any

from tfopt import _validation
from tfopt.errors import InvalidArgumentError


def check_betas(optimizer: str, **betas: float) -> None:
    """Raise unless every beta, the fraction of a running average that a step keeps, is in [0, 1)."""
    for name, beta in betas.items():
        _validation.number(optimizer, name, beta, at_least=0, below=1)


def check_weight_decay(optimizer: str, weight_decay: float | None) -> None:
    """Raise unless `weight_decay` is `None` or not negative."""
    if weight_decay is not None:
        check_not_negative(optimizer, weight_decay=weight_decay)


def check_count(optimizer: str, **counts: int) -> None:
    """Raise unless every count is a whole number of at least 1."""
    for name, count in counts.items():
        _validation.whole(optimizer, name, count, at_least=1)


def check_positive(optimizer: str, **positive: float) -> None:
    """Raise unless every number is finite and > 0. An epsilon of 0 makes NaN."""
    for name, number in positive.items():
        _validation.number(optimizer, name, number, above=0)


def check_share(optimizer: str, **shares: float) -> None:
    """Raise unless every number is in (0, 1]."""
    for name, share in shares.items():
        _validation.number(optimizer, name, share, above=0, at_most=1)


def check_not_negative(optimizer: str, **numbers: float) -> None:
    """Raise unless every number is finite and >= 0."""
    for name, number in numbers.items():
        _validation.number(optimizer, name, number, at_least=0)


def patterns(optimizer: str, name: str, value: Iterable[str]) -> tuple[str, ...]:
    """Return `value` as a tuple if it is several regular expressions, not a single one."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise InvalidArgumentError(
            f"{optimizer}: expected {name} to be a list of regular expressions, got {value!r}; "
            f'write it as ["bias"].'
        )
    return tuple(value)


def learning_rate(optimizer: str, value: Any) -> Any:
    """Return a rate that Keras takes: numbers as non-negative floats, schedules and callables as they are."""
    if callable(value):
        return value
    if not isinstance(value, numbers.Real):
        raise InvalidArgumentError(
            f"{optimizer}: expected learning_rate to be a number, a LearningRateSchedule or a function "
            f"without arguments, got {value!r}."
        )
    return _validation.number(optimizer, "learning_rate", value, at_least=0)
