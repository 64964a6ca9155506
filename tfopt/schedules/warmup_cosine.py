"""Linear warm-up, then a half cosine."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import NonNegative, Steps, StepsFromZero
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import shapes
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class WarmupCosine(Schedule):
    """Raises the rate linearly to a peak, then lowers it along half a cosine; constant afterwards.

    Equals optax's `warmup_cosine_decay_schedule(init_value, peak_value, warmup_steps, decay_steps,
    end_value)`, whose `decay_steps` is our `total_steps`, and Hugging Face's
    `get_cosine_schedule_with_warmup`, which rises again after its end.

    Reference: Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts (2017, arXiv
    1608.03983), equation 5 with one period; Goyal et al., Accurate, Large Minibatch SGD (2017, arXiv
    1706.02677), section 2.2 for the gradual warm-up.

    Args:
        peak_learning_rate: the rate at the end of the warm-up, >= 0.
        warmup_steps: updates until the peak, >= 0; 0 starts at the peak.
        total_steps: updates until `final_learning_rate`, the warm-up included; > `warmup_steps`.
        initial_learning_rate: the rate of the first update of a warm-up, >= 0.
        final_learning_rate: the rate at `total_steps` and after it, >= 0.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: a rate is negative or not finite, or the warm-up does not end before
            `total_steps`.

    Example:
        >>> schedule = WarmupCosine(0.1, warmup_steps=10, total_steps=100)
        >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 55, 100)]
        [0.0, 0.05, 0.1, 0.05, 0.0]
    """

    peak_learning_rate: NonNegative
    _: KW_ONLY
    warmup_steps: StepsFromZero
    total_steps: Steps
    initial_learning_rate: NonNegative = 0.0
    final_learning_rate: NonNegative = 0.0
    name: str = "WarmupCosine"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup_steps >= self.total_steps:
            raise InvalidArgumentError(
                f"{self.name}: expected warmup_steps < total_steps (which includes the warm-up), got "
                f"warmup_steps={self.warmup_steps} and total_steps={self.total_steps}. Train longer or "
                "warm up less."
            )

    def _rate(self, step: Any) -> Any:
        warmup = shapes.rise(
            "linear", self.initial_learning_rate, self.peak_learning_rate, step / max(self.warmup_steps, 1)
        )
        progress = (step - self.warmup_steps) / (self.total_steps - self.warmup_steps)
        decay = shapes.fall("cosine", self.peak_learning_rate, self.final_learning_rate, progress)
        return ops.where(step < self.warmup_steps, warmup, decay)
