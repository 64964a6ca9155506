"""Checks of the hyperparameters that optimizers share."""

import numbers
from collections.abc import Iterable
from typing import Any

from tfopt.errors import InvalidArgumentError


def check_betas(optimizer: str, **betas: float) -> None:
    """Raise unless every beta, the fraction of a running average that a step keeps, is in [0, 1)."""
    for name, beta in betas.items():
        if not isinstance(beta, numbers.Real) or not 0 <= beta < 1:
            raise InvalidArgumentError(
                f"{optimizer}: expected {name} in [0, 1), got {beta!r}. It is the fraction that a step keeps."
            )


def check_epsilon(optimizer: str, epsilon: float) -> None:
    """Raise unless `epsilon` is positive: at 0, a weight that has never had a gradient would become NaN."""
    if not isinstance(epsilon, numbers.Real) or not 0 < epsilon < float("inf"):
        raise InvalidArgumentError(f"{optimizer}: expected epsilon > 0, got {epsilon!r}.")


def check_weight_decay(optimizer: str, weight_decay: float | None) -> None:
    """Raise unless `weight_decay` is `None` or not negative."""
    if weight_decay is None:
        return
    if not isinstance(weight_decay, numbers.Real) or not 0 <= weight_decay < float("inf"):
        raise InvalidArgumentError(f"{optimizer}: expected weight_decay >= 0 or None, got {weight_decay!r}.")


def check_count(optimizer: str, **counts: int) -> None:
    """Raise unless every count is a whole number of at least 1."""
    for name, count in counts.items():
        if not isinstance(count, numbers.Integral) or isinstance(count, bool) or count < 1:
            raise InvalidArgumentError(
                f"{optimizer}: expected {name} to be a whole number >= 1, got {count!r}."
            )


def check_positive(optimizer: str, **positive: float) -> None:
    """Raise unless every number is finite and > 0."""
    for name, number in positive.items():
        if not isinstance(number, numbers.Real) or not 0 < number < float("inf"):
            raise InvalidArgumentError(f"{optimizer}: expected {name} > 0, got {number!r}.")


def check_share(optimizer: str, **shares: float) -> None:
    """Raise unless every number is in (0, 1]."""
    for name, share in shares.items():
        if not isinstance(share, numbers.Real) or not 0 < share <= 1:
            raise InvalidArgumentError(f"{optimizer}: expected {name} in (0, 1], got {share!r}.")


def check_not_negative(optimizer: str, **numbers_: float) -> None:
    """Raise unless every number is finite and >= 0."""
    for name, number in numbers_.items():
        if not isinstance(number, numbers.Real) or not 0 <= number < float("inf"):
            raise InvalidArgumentError(f"{optimizer}: expected {name} >= 0, got {number!r}.")


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
    rate = float(value)
    if not 0 <= rate < float("inf"):
        raise InvalidArgumentError(f"{optimizer}: expected learning_rate >= 0, got {value!r}.")
    return rate
