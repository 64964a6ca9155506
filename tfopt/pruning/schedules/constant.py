"""One sparsity, its masks chosen again and again."""

from __future__ import annotations

import dataclasses

import keras

from tfopt.pruning.schedules.base import Schedule, check_span, interval, steps_of

_CHANGES = 50


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True, kw_only=True)
class ConstantSparsity(Schedule):
    """Holds one sparsity from `begin` on, and chooses the masks anew every `frequency` steps up to `end`.

    The step before each change trains all weights, so that a pruned one may come back:
    tensorflow-model-optimization's schedule of this name.

    Args:
        begin: when the zeros are made: an int is a step, a float in [0, 1] a share of all the steps of the
            `fit` that trains.
        end: after which the masks stay, likewise.
        frequency: steps from one change to the next; None makes it 50 changes, or one a step where there
            are fewer steps.

    Raises:
        InvalidArgumentError: an argument is out of its range, or `end` is not after `begin`.
    """

    begin: int | float = 0.0
    end: int | float = 0.7
    frequency: int | None = None

    def __post_init__(self) -> None:
        check_span(self.begin, self.end, self.frequency)

    @property
    def regrows(self) -> bool:
        """Whether a pruned weight may come back: yes."""
        return True

    def initial(self, final_sparsity: float) -> float:
        """Return the sparsity before the first step."""
        return 0.0 if self.begin else final_sparsity

    def sparsity_at(self, step: int, total_steps: int | None, final_sparsity: float) -> float:
        """Return the sparsity that step `step` trains with; see `Schedule`."""
        return final_sparsity if step >= steps_of(self.begin, total_steps) else 0.0

    def change_at(self, step: int, total_steps: int | None) -> int:
        """Return how often the masks were chosen anew when `step` steps are done."""
        begin, end = steps_of(self.begin, total_steps), steps_of(self.end, total_steps)
        return max(0, min(step, end) - begin) // interval(begin, end, self.frequency, _CHANGES)

    def finished(self, step: int, total_steps: int | None) -> bool:
        """Return whether the masks stay once `step` steps are done."""
        return step >= steps_of(self.end, total_steps)
