"""Sparsity as a function of the training step."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from tfopt import _validation
from tfopt.errors import InvalidArgumentError

_UPDATES = 50


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Cubic:
    """Prunes fast at first, while many weights are needless, and slower as fewer are left.

    From step t0 = `begin` to t0 + n dt = `end`, every dt = `frequency` steps, up to the final
    sparsity sf:

        s(t) = sf + (si - sf) (1 - (t - t0) / (n dt))^3

    "To prune, or not to prune" (Zhu and Gupta, 2017), equation 1.

    Args:
        begin: when the sparsity starts to rise: an int is a step, a float in [0, 1] a share of all the
            steps of the `fit` that trains.
        end: when the final sparsity is reached, likewise. The steps after it train what is left.
        initial_sparsity: si, in [0, 1): the sparsity up to `begin`.
        frequency: steps from one rise to the next; None makes it 50 rises, or one a step where there
            are fewer steps.

    Raises:
        InvalidArgumentError: an argument is out of its range, or `end` is not after `begin`.
    """

    begin: int | float = 0.0
    end: int | float = 0.7
    initial_sparsity: float = 0.0
    frequency: int | None = None

    def __post_init__(self) -> None:
        for name in ("begin", "end"):
            value = getattr(self, name)
            share = isinstance(value, float)
            if not isinstance(value, int | float) or value < 0 or (share and not value <= 1):
                raise InvalidArgumentError(
                    f"{name} must be a step (an int from 0 on) or a share of all steps (a float in [0, 1]), "
                    f"got {value!r}."
                )
        if isinstance(self.begin, float) == isinstance(self.end, float) and self.begin >= self.end:
            raise InvalidArgumentError(f"end must come after begin, got begin={self.begin}, end={self.end}.")
        check_sparsity(self.initial_sparsity, "initial_sparsity")
        if self.frequency is not None and not (_validation.is_whole(self.frequency) and self.frequency >= 1):
            raise InvalidArgumentError(
                f"frequency must be a number of steps, 1 or more, or None; got {self.frequency!r}."
            )

    def sparsity_at(self, step: int, total_steps: int | None, final_sparsity: float) -> float:
        """Return the sparsity that step `step` trains with.

        Args:
            step: how many steps are done, from 0 on.
            total_steps: all the steps of the `fit`; only used where `begin` or `end` is a share.
            final_sparsity: the sparsity from `end` on.
        """
        begin, end = self._steps(self.begin, total_steps), self._steps(self.end, total_steps)
        if step >= end:
            return final_sparsity
        frequency = self.frequency or max(1, (end - begin) // _UPDATES)
        done = max(0, (step - begin) // frequency * frequency) / max(1, end - begin)
        start = min(self.initial_sparsity, final_sparsity)
        return final_sparsity + (start - final_sparsity) * (1 - done) ** 3

    def finished(self, step: int, total_steps: int | None) -> bool:
        """Return whether the final sparsity is reached once `step` steps are done."""
        return step >= self._steps(self.end, total_steps)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Cubic:
        """Return the schedule that `get_config` described."""
        return cls(**config)

    @staticmethod
    def _steps(value: int | float, total_steps: int | None) -> int:
        if isinstance(value, int):
            return value
        if total_steps is None:
            raise InvalidArgumentError(
                "A pruning schedule in shares of the training needs to know the number of its steps: pass "
                "steps_per_epoch to fit, or give the schedule's begin and end as whole steps."
            )
        return round(value * total_steps)


def check_sparsity(value: float, name: str = "sparsity") -> None:
    """Raise `InvalidArgumentError` unless `value` is a number in [0, 1)."""
    if not _validation.is_number(value) or not 0 <= value < 1:
        raise InvalidArgumentError(
            f"{name} must be a share of zeros in [0, 1), such as 0.8 for 80 %; got {value!r}."
        )
