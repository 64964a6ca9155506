"""A schedule in updates for an optimizer that counts batches."""

from typing import Any

import keras
from keras import ops

from tfopt.schedules._core import arguments, nested
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
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

    def __init__(self, schedule: Any, *, gradient_accumulation_steps: int, name: str = "Updates") -> None:
        super().__init__(name)
        self.schedule = arguments.schedule(name, "schedule", schedule)
        self.gradient_accumulation_steps = arguments.steps(
            name, "gradient_accumulation_steps", gradient_accumulation_steps, at_least=1
        )

    def _rate(self, step: Any) -> Any:
        return nested.rates(self.schedule, ops.floor(step / self.gradient_accumulation_steps))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the schedule serialized."""
        return super().get_config() | {"schedule": nested.serialized(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Updates":
        """Return the schedule that `get_config` described."""
        return cls(**config | {"schedule": nested.deserialized(config["schedule"])})
