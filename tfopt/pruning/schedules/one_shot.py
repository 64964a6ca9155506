"""All zeros at one moment of the training."""

from __future__ import annotations

import dataclasses

import keras

from tfopt.pruning.schedules.base import Schedule, check_moment, steps_of


@keras.saving.register_keras_serializable(package="tfopt")
@dataclasses.dataclass(frozen=True, kw_only=True)
class OneShot(Schedule):
    """Trains all weights up to a moment, prunes at once, and trains what is left.

    Without a schedule `tfopt.prune` prunes before training.

    Args:
        at: the moment: an int is a step, a float in [0, 1] a share of all the steps of the `fit` that trains.

    Raises:
        InvalidArgumentError: it is neither.
    """

    at: int | float = 0.3

    def __post_init__(self) -> None:
        check_moment("at", self.at)

    def initial(self, final_sparsity: float) -> float:
        """Return the sparsity before the first step."""
        return 0.0 if self.at else final_sparsity

    def sparsity_at(self, step: int, total_steps: int | None, final_sparsity: float) -> float:
        """Return the sparsity that step `step` trains with; see `Schedule`."""
        return final_sparsity if self.finished(step, total_steps) else 0.0

    def finished(self, step: int, total_steps: int | None) -> bool:
        """Return whether the weights are pruned once `step` steps are done."""
        return step >= steps_of(self.at, total_steps)
