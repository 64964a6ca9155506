"""Arguments that only schedules have: other schedules and milestones."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import keras

from tfopt import _validation
from tfopt.errors import InvalidArgumentError


def milestones(owner: str, name: str, value: Iterable[int]) -> list[int]:
    """Return `value` as a list of ints if they are steps >= 1, each later than the one before."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise InvalidArgumentError(
            f"{owner}: expected {name} to be a list of updates such as [30, 60], got {value!r}."
        )
    checked = [_validation.steps(owner, f"each of {name}", step, at_least=1) for step in value]
    if any(later <= earlier for earlier, later in itertools.pairwise(checked)):
        raise InvalidArgumentError(
            f"{owner}: expected {name} to increase, got {checked}. Sort them and drop what is double."
        )
    return checked


def schedule(owner: str, name: str, value: Any) -> Any:
    """Return `value` if it is a schedule."""
    if not isinstance(value, keras.optimizers.schedules.LearningRateSchedule):
        raise InvalidArgumentError(
            f"{owner}: expected {name} to be a LearningRateSchedule, such as "
            f"tfopt.schedules.Step(0.1, step_size=30); got {value!r}."
        )
    return value


def schedules(owner: str, name: str, value: Sequence) -> list:
    """Return `value` as a list if it holds one schedule or more; numbers in it are constant rates."""
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise InvalidArgumentError(f"{owner}: expected {name} to be a list of schedules, got {value!r}.")
    checked = [
        _validation.number(owner, f"a constant in {name}", each, at_least=0)
        if isinstance(each, int | float)
        else schedule(owner, f"each of {name}", each)
        for each in value
    ]
    if not checked:
        raise InvalidArgumentError(f"{owner}: expected {name} to hold at least one, got none.")
    return checked


def truth(owner: str, name: str, value: Any) -> bool:  # noqa: ARG001 (one signature for all checks)
    """Return whether `value` counts as true."""
    return bool(value)


Milestones = Annotated[Sequence[int], milestones]
NestedSchedule = Annotated[Any, schedule]
NestedSchedules = Annotated[Sequence[Any], schedules]
Switch = Annotated[bool, truth]
