"""A straight line from one rate to another."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras

from tfopt._hyperparameters import NonNegative, Steps
from tfopt.schedules._core import shapes
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Linear(Schedule):
    """Takes the rate from one value to another, up or down, in a straight line; constant afterwards.

    Equals torch's `LinearLR(start_factor, end_factor, total_iters)`, with the two rates as the factors
    times the optimizer's rate and `decay_steps=total_iters`; and optax's `linear_schedule(init_value,
    end_value, transition_steps)`. Hugging Face's `get_linear_schedule_with_warmup(W, N)` is
    `Warmup(Linear(rate, decay_steps=N - W), warmup_steps=W)`.

    Args:
        initial_learning_rate: the rate of the first update, >= 0.
        decay_steps: updates until `final_learning_rate`, >= 1.
        final_learning_rate: the rate at `decay_steps` and after it, >= 0.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Example:
        >>> schedule = Linear(0.1, decay_steps=10)
        >>> [round(float(schedule(step)), 4) for step in (0, 5, 10, 11)]
        [0.1, 0.05, 0.0, 0.0]
    """

    initial_learning_rate: NonNegative
    _: KW_ONLY
    decay_steps: Steps
    final_learning_rate: NonNegative = 0.0
    name: str = "Linear"

    def _rate(self, step: Any) -> Any:
        return shapes.fall(
            "linear", self.initial_learning_rate, self.final_learning_rate, step / self.decay_steps
        )
