"""A constant factor at each update."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import NonNegative, Positive, Steps
from tfopt.schedules._core import arguments
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Exponential(Schedule):
    """Multiplies the rate by `decay_rate` every `decay_steps` updates, smoothly or as a staircase.

        rate(t) = initial * decay_rate^(t / decay_steps)

    Equals torch's `ExponentialLR(gamma)` with `decay_rate=gamma`; optax's `exponential_decay(init_value,
    transition_steps, decay_rate, staircase=, end_value=)` with `decay_steps=transition_steps` and
    `final_learning_rate=end_value`; Keras's `ExponentialDecay`, which has no end.

    Args:
        initial_learning_rate: the rate of the first update, >= 0.
        decay_rate: the factor, > 0; above 1 the rate grows, as in a range test.
        decay_steps: updates in which the rate is multiplied by `decay_rate` once, >= 1.
        staircase: whether the rate changes only every `decay_steps` updates.
        final_learning_rate: where the rate stops, >= 0: a lower bound where it decays, an upper one where
            it grows. `None` is no bound.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Example:
        >>> schedule = Exponential(0.1, decay_rate=0.5, decay_steps=10)
        >>> [round(float(schedule(step)), 4) for step in (0, 10, 20)]
        [0.1, 0.05, 0.025]
    """

    initial_learning_rate: NonNegative
    _: KW_ONLY
    decay_rate: Positive
    decay_steps: Steps = 1
    staircase: arguments.Switch = False
    final_learning_rate: NonNegative | None = None
    name: str = "Exponential"

    def _rate(self, step: Any) -> Any:
        exponent = step / self.decay_steps
        if self.staircase:
            exponent = ops.floor(exponent)
        rate = self.initial_learning_rate * ops.power(self.decay_rate, exponent)
        if self.final_learning_rate is None:
            return rate
        bound = ops.maximum if self.decay_rate < 1 else ops.minimum
        return bound(rate, self.final_learning_rate)
