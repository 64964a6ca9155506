"""A schedule in updates for an optimizer that counts batches."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import Steps
from tfopt.schedules._core import arguments, nested
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Updates(Schedule):
    """Counts updates for a schedule in one of Keras's own optimizers that accumulates gradients.

    Keras's optimizers call a schedule with the number of batches, also where `gradient_accumulation_steps`
    of them make one update. Around a schedule, this divides. tfopt's optimizers count updates themselves:
    do not wrap their schedules.

    Args:
        schedule: a `LearningRateSchedule`, of tfopt or of Keras, in updates.
        gradient_accumulation_steps: what the optimizer has, >= 1.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: `schedule` is no schedule, or the number is out of its range.

    Example:
        >>> schedule = Updates(Linear(0.1, decay_steps=10), gradient_accumulation_steps=4)
        >>> optimizer = keras.optimizers.SGD(schedule, gradient_accumulation_steps=4)
        >>> [round(float(schedule(batch)), 4) for batch in (0, 3, 4, 40)]
        [0.1, 0.1, 0.09, 0.0]
    """

    schedule: arguments.NestedSchedule
    _: KW_ONLY
    gradient_accumulation_steps: Steps
    name: str = "Updates"

    def _rate(self, step: Any) -> Any:
        return nested.rates(self.schedule, ops.floor(step / self.gradient_accumulation_steps))
