"""RigL: sparse from the first step, with connections that move."""

from __future__ import annotations

import dataclasses
import math

import keras

from tfopt import _validation
from tfopt.pruning.schedules.base import Schedule, check_span, interval, steps_of

_CHANGES = 50


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True, kw_only=True)
class RigL(Schedule):
    """Drops the smallest weights of each kernel and grows as many where the gradients are largest.

    The model has its final sparsity from the first step. Every `frequency` steps from `begin` to `end` the
    share

        f(t) = fraction / 2 (1 + cos(pi (t - begin) / (end - begin)))

    of the live weights of each kernel is dropped, those of the smallest magnitude, and as many of the others
    grow, those whose gradient at that step is the largest. They start at zero. "Rigging the lottery" (Evci et
    al., 2020, arXiv 1911.11134).

    Args:
        begin: when the masks begin to change: an int is a step, a float in [0, 1] a share of all the steps
            of the `fit` that trains.
        end: when they stop, likewise; 0.75 in the paper.
        frequency: steps from one change to the next; None makes it 50 changes, or one a step where there
            are fewer steps. The paper has 100.
        fraction: the share of live weights that the first change replaces, in (0, 1].

    Raises:
        InvalidArgumentError: an argument is out of its range, or `end` is not after `begin`.
    """

    begin: int | float = 0.0
    end: int | float = 0.75
    frequency: int | None = None
    fraction: float = 0.3

    def __post_init__(self) -> None:
        check_span(self.begin, self.end, self.frequency)
        _validation.number("RigL", "fraction", self.fraction, above=0, at_most=1)

    @property
    def regrows(self) -> bool:
        """Whether a pruned weight may come back: yes."""
        return True

    @property
    def grows_by_gradient(self) -> bool:
        """Whether weights come back by the size of their gradients: yes."""
        return True

    def initial(self, final_sparsity: float) -> float:
        """Return the sparsity before the first step: the final one."""
        return final_sparsity

    def sparsity_at(self, step: int, total_steps: int | None, final_sparsity: float) -> float:  # noqa: ARG002
        """Return the sparsity: always the final one."""
        return final_sparsity

    def change_at(self, step: int, total_steps: int | None) -> int:
        """Return how often connections have moved when `step` steps are done."""
        begin, end = steps_of(self.begin, total_steps), steps_of(self.end, total_steps)
        # The last one would replace nothing.
        return max(0, min(step, end - 1) - begin) // interval(begin, end, self.frequency, _CHANGES)

    def fraction_at(self, step: int, total_steps: int | None) -> float:
        """Return the share of live weights that a change after `step` steps replaces."""
        begin, end = steps_of(self.begin, total_steps), steps_of(self.end, total_steps)
        done = min(1.0, max(0.0, (step - begin) / max(1, end - begin)))
        return self.fraction / 2 * (1 + math.cos(math.pi * done))

    def finished(self, step: int, total_steps: int | None) -> bool:
        """Return whether connections move no more once `step` steps are done."""
        return step >= steps_of(self.end, total_steps)
