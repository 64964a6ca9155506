"""Sparsity that rises fast at first and slower later."""

from __future__ import annotations

import dataclasses

import keras

from tfopt import _validation
from tfopt.pruning.schedules.base import Schedule, check_span, check_sparsity, interval, steps_of

_CHANGES = 50


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True, kw_only=True)
class Cubic(Schedule):
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
        regrow: whether a pruned weight may come back at a rise. The step before each rise then trains all
            weights, and the new masks are chosen among all of them, as tensorflow-model-optimization does.

    Raises:
        InvalidArgumentError: an argument is out of its range, or `end` is not after `begin`.
    """

    begin: int | float = 0.0
    end: int | float = 0.7
    initial_sparsity: float = 0.0
    frequency: int | None = None
    regrow: bool = False

    def __post_init__(self) -> None:
        check_span(self.begin, self.end, self.frequency)
        check_sparsity(self.initial_sparsity, "initial_sparsity")
        _validation.flag("Cubic", "regrow", self.regrow)

    @property
    def regrows(self) -> bool:
        """Whether a pruned weight may come back at a rise."""
        return self.regrow

    def initial(self, final_sparsity: float) -> float:
        """Return the sparsity before the first step."""
        return min(self.initial_sparsity, final_sparsity)

    def sparsity_at(self, step: int, total_steps: int | None, final_sparsity: float) -> float:
        """Return the sparsity that step `step` trains with; see `Schedule`."""
        begin, end = steps_of(self.begin, total_steps), steps_of(self.end, total_steps)
        if step >= end:
            return final_sparsity
        frequency = interval(begin, end, self.frequency, _CHANGES)
        done = max(0, (step - begin) // frequency * frequency) / max(1, end - begin)
        return final_sparsity + (self.initial(final_sparsity) - final_sparsity) * (1 - done) ** 3

    def finished(self, step: int, total_steps: int | None) -> bool:
        """Return whether the final sparsity is reached once `step` steps are done."""
        return step >= steps_of(self.end, total_steps)
