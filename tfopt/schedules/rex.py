"""Reflected exponential decay."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt._hyperparameters import Fraction, NonNegative, Steps
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class REX(Schedule):
    """Lowers the rate slowly at first and ever faster towards the end; constant afterwards.

    With z = t / `decay_steps` and beta = 1/2 in the paper:

        rate(t) = initial * (1 - z) / ((1 - beta) + beta * (1 - z))

    Reference: Chen, Wolfe and Kyrillidis, REX: Revisiting Budgeted Training with an Improved Schedule
    (2021, arXiv 2107.04197), section 4. Other implementations (pytorch-optimizer, axolotl) take
    `beta=0.9` and a minimum rate, our `final_learning_rate`.

    Args:
        initial_learning_rate: the rate of the first update, >= 0.
        decay_steps: updates until `final_learning_rate`, >= 1.
        beta: how long the rate stays high, in [0, 1): 0 is linear.
        final_learning_rate: the rate at `decay_steps` and after it, >= 0.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range.

    Example:
        >>> schedule = REX(0.3, decay_steps=100)
        >>> [round(float(schedule(step)), 4) for step in (0, 50, 80, 100)]
        [0.3, 0.2, 0.1, 0.0]
    """

    initial_learning_rate: NonNegative
    _: KW_ONLY
    decay_steps: Steps
    beta: Fraction = 0.5
    final_learning_rate: NonNegative = 0.0
    name: str = "REX"

    def _rate(self, step: Any) -> Any:
        left = ops.clip(1.0 - step / self.decay_steps, 0.0, 1.0)
        share = left / ((1.0 - self.beta) + self.beta * left)
        return self.final_learning_rate + (self.initial_learning_rate - self.final_learning_rate) * share
