"""The base of the schedules: sparsity, and changes of the masks, as functions of the training step."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from tfopt import _validation
from tfopt.errors import InvalidArgumentError

T = TypeVar("T", bound="Schedule")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Schedule:
    """When the masks of a model change while it trains, and to which sparsity.

    Steps are counted as done: step 0 is before the first. A moment is a step (an int) or a share of all the
    steps of the `fit` that trains (a float in [0, 1]).
    """

    @property
    def regrows(self) -> bool:
        """Whether a pruned weight may come back when the masks change."""
        return False

    @property
    def grows_by_gradient(self) -> bool:
        """Whether weights come back by the size of their gradients."""
        return False

    def initial(self, final_sparsity: float) -> float:
        """Return the sparsity before the first step."""
        raise NotImplementedError

    def sparsity_at(self, step: int, total_steps: int | None, final_sparsity: float) -> float:
        """Return the sparsity that step `step` trains with.

        Args:
            step: how many steps are done, from 0 on.
            total_steps: all the steps of the `fit`; only used where a moment is a share.
            final_sparsity: the sparsity in the end.
        """
        raise NotImplementedError

    def change_at(self, step: int, total_steps: int | None) -> int:  # noqa: ARG002
        """Return the number of the last change of the masks at an unchanged sparsity; 0 for none."""
        return 0

    def finished(self, step: int, total_steps: int | None) -> bool:
        """Return whether the masks change no more once `step` steps are done."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls: type[T], config: dict[str, Any]) -> T:
        """Return the schedule that `get_config` described."""
        return cls(**config)


def steps_of(value: int | float, total_steps: int | None) -> int:
    """Return a moment as a step.

    Raises:
        InvalidArgumentError: it is a share, and nobody knows of how many.
    """
    if isinstance(value, int):
        return value
    if total_steps is None:
        raise InvalidArgumentError(
            "A pruning schedule in shares of the training needs to know the number of its steps: pass "
            "steps_per_epoch to fit, or give the schedule's begin and end as whole steps."
        )
    return round(value * total_steps)


def interval(begin: int, end: int, frequency: int | None, changes: int) -> int:
    """Return the steps from one change to the next: `frequency`, or so that there are `changes` of them."""
    return frequency or max(1, (end - begin) // changes)


def check_moment(name: str, value: Any) -> None:
    """Raise `InvalidArgumentError` unless `value` is a step or a share of all steps."""
    share = isinstance(value, float)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= (1 if share else value)
    ):
        raise InvalidArgumentError(
            f"{name} must be a step (an int from 0 on) or a share of all steps (a float in [0, 1]), "
            f"got {value!r}."
        )


def check_span(begin: int | float, end: int | float, frequency: int | None) -> None:
    """Raise `InvalidArgumentError` unless these are a span of steps and the steps between two changes."""
    check_moment("begin", begin)
    check_moment("end", end)
    if isinstance(begin, float) == isinstance(end, float) and begin >= end:
        raise InvalidArgumentError(f"end must come after begin, got begin={begin}, end={end}.")
    if frequency is not None and not (_validation.is_whole(frequency) and frequency >= 1):
        raise InvalidArgumentError(
            f"frequency must be a number of steps, 1 or more, or None; got {frequency!r}."
        )


def check_sparsity(value: Any, name: str = "sparsity") -> None:
    """Raise `InvalidArgumentError` unless `value` is a number in [0, 1)."""
    if not _validation.is_number(value) or not 0 <= value < 1:
        raise InvalidArgumentError(
            f"{name} must be a share of zeros in [0, 1), such as 0.8 for 80 %; got {value!r}."
        )
