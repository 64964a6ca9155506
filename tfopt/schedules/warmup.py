"""A warm-up before any schedule."""

from typing import Any

import keras
from keras import ops

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import arguments, nested, shapes
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
class Warmup(Schedule):
    """Raises the rate to where a schedule begins, then follows the schedule from its own start.

    Hugging Face's `get_..._with_warmup` are `Warmup` around our `Linear`, `Polynomial` or
    `CosineRestarts`; optax's `warmup_exponential_decay_schedule` is `Warmup` around `Exponential`.

    Reference: Goyal et al., Accurate, Large Minibatch SGD (2017, arXiv 1706.02677), section 2.2.

    Args:
        schedule: a `LearningRateSchedule`, of tfopt or of Keras, without a warm-up of its own.
        warmup_steps: updates until the schedule begins, >= 1.
        initial_learning_rate: the rate of the first update, >= 0.
        shape: `"linear"`, `"cosine"` or `"1-sqrt"`.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range, or the schedule warms up already.

    Example:
        >>> schedule = Warmup(Step(0.1, step_size=30), warmup_steps=5)
        >>> [round(float(schedule(step)), 4) for step in (0, 1, 5, 34, 35)]
        [0.0, 0.02, 0.1, 0.1, 0.01]
    """

    def __init__(
        self,
        schedule: Any,
        *,
        warmup_steps: int,
        initial_learning_rate: float = 0.0,
        shape: str = "linear",
        name: str = "Warmup",
    ) -> None:
        super().__init__(name)
        self.schedule = arguments.schedule(name, "schedule", schedule)
        self.warmup_steps = arguments.steps(name, "warmup_steps", warmup_steps, at_least=1)
        self.initial_learning_rate = arguments.rate(name, "initial_learning_rate", initial_learning_rate)
        self.shape = _validation.choice(name, "shape", shape, shapes.SHAPES)
        if getattr(schedule, "warmup_steps", 0):
            raise InvalidArgumentError(
                f"{name}: expected a schedule without a warm-up, got {type(schedule).__name__} with "
                f"warmup_steps={schedule.warmup_steps}. Drop one of the two."
            )

    def _rate(self, step: Any) -> Any:
        peak = nested.rates(self.schedule, ops.zeros_like(step))
        warmup = shapes.rise(self.shape, self.initial_learning_rate, peak, step / self.warmup_steps)
        after = nested.rates(self.schedule, ops.maximum(step - self.warmup_steps, 0.0))
        return ops.where(step < self.warmup_steps, warmup, after)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the schedule serialized."""
        return super().get_config() | {"schedule": nested.serialized(self.schedule)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Warmup":
        """Return the schedule that `get_config` described."""
        return cls(**config | {"schedule": nested.deserialized(config["schedule"])})
