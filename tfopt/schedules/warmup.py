"""A warm-up before any schedule."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import NonNegative, Steps
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import arguments, nested, shapes
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
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

    schedule: arguments.NestedSchedule
    _: KW_ONLY
    warmup_steps: Steps
    initial_learning_rate: NonNegative = 0.0
    shape: shapes.Shape = "linear"
    name: str = "Warmup"

    def __post_init__(self) -> None:
        super().__post_init__()
        if getattr(self.schedule, "warmup_steps", 0):
            raise InvalidArgumentError(
                f"{self.name}: expected a schedule without a warm-up, got {type(self.schedule).__name__} "
                f"with warmup_steps={self.schedule.warmup_steps}. Drop one of the two."
            )

    def _rate(self, step: Any) -> Any:
        peak = nested.rates(self.schedule, ops.zeros_like(step))
        warmup = shapes.rise(self.shape, self.initial_learning_rate, peak, step / self.warmup_steps)
        after = nested.rates(self.schedule, ops.maximum(step - self.warmup_steps, 0.0))
        return ops.where(step < self.warmup_steps, warmup, after)
