"""Checks of the arguments that schedules share."""

import math
import numbers

from tfopt.errors import InvalidArgumentError


def rate(schedule: str, name: str, value: float) -> float:
    """Return `value` as a float if it is a finite number >= 0."""
    if not isinstance(value, numbers.Real) or not math.isfinite(value) or value < 0:
        raise InvalidArgumentError(f"{schedule}: expected {name} to be a finite number >= 0, got {value!r}.")
    return float(value)


def steps(schedule: str, name: str, value: int, *, at_least: int) -> int:
    """Return `value` as an int if it is a whole number of steps."""
    whole = isinstance(value, numbers.Real) and math.isfinite(value) and value == math.floor(value)
    if not whole or value < at_least:
        raise InvalidArgumentError(
            f"{schedule}: expected {name} to be a whole number of updates >= {at_least}, got {value!r}."
        )
    return int(value)
