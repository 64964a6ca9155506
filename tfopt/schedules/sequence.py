"""Schedules one after another."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import arguments, nested
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Sequence(Schedule):
    """Follows one schedule until a milestone, then the next one, each counted from its own start.

    Equals torch's `SequentialLR(schedulers, milestones)` and optax's `join_schedules(schedules,
    boundaries)`. A number among the schedules is a constant rate.

    Args:
        schedules: `LearningRateSchedule`s, of tfopt or of Keras, or numbers >= 0.
        milestones: the updates at which the second and each further schedule begins, increasing, >= 1;
            one fewer than schedules.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: something in the list is no schedule, or the milestones do not increase or
            are not one fewer.

    Example:
        >>> schedule = Sequence([0.1, Linear(0.1, decay_steps=10)], milestones=[100])
        >>> [round(float(schedule(step)), 4) for step in (0, 100, 105, 110)]
        [0.1, 0.1, 0.05, 0.0]
    """

    schedules: arguments.NestedSchedules
    _: KW_ONLY
    milestones: arguments.Milestones
    name: str = "Sequence"

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.milestones) != len(self.schedules) - 1:
            raise InvalidArgumentError(
                f"{self.name}: expected one milestone between each two schedules, got {len(self.milestones)} "
                f"milestones for {len(self.schedules)} schedules."
            )

    def _rate(self, step: Any) -> Any:
        rate = nested.rates(self.schedules[0], step)
        for milestone, schedule in zip(self.milestones, self.schedules[1:], strict=True):
            later = nested.rates(schedule, ops.maximum(step - milestone, 0.0))
            rate = ops.where(step < milestone, rate, later)
        return rate
