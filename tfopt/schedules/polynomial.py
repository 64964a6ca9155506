"""A power of what is left of the training."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import NonNegative, Positive, Steps
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Polynomial(Schedule):
    """Takes the rate from one value to another along (1 - t / decay_steps)^power; constant afterwards.

    Equals torch's `PolynomialLR(total_iters, power)` with `decay_steps=total_iters`; optax's
    `polynomial_schedule(init_value, end_value, power, transition_steps)`; Keras's `PolynomialDecay`
    without `cycle`, whose `end_learning_rate` is our `final_learning_rate`. Hugging Face's
    `get_polynomial_decay_schedule_with_warmup(W, N, lr_end, power)` is this one with `decay_steps=N - W`
    inside `Warmup(..., warmup_steps=W)`.

    Args:
        initial_learning_rate: the rate of the first update, >= 0.
        decay_steps: updates until `final_learning_rate`, >= 1.
        power: > 0; 1 is linear, a higher one falls fast at first.
        final_learning_rate: the rate at `decay_steps` and after it, >= 0.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Example:
        >>> schedule = Polynomial(0.1, decay_steps=80, power=2.0)
        >>> [round(float(schedule(step)), 4) for step in (0, 40, 80)]
        [0.1, 0.025, 0.0]
    """

    initial_learning_rate: NonNegative
    _: KW_ONLY
    decay_steps: Steps
    power: Positive = 1.0
    final_learning_rate: NonNegative = 0.0
    name: str = "Polynomial"

    def _rate(self, step: Any) -> Any:
        left = ops.power(ops.clip(1.0 - step / self.decay_steps, 0.0, 1.0), self.power)
        return self.final_learning_rate + (self.initial_learning_rate - self.final_learning_rate) * left
