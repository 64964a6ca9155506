"""Schedules multiplied with one another."""

from __future__ import annotations

import functools
import operator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras

from tfopt.schedules._core import arguments, nested
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Chain(Schedule):
    """The product of schedules: one gives the rate, the others factors.

    Give the others an initial rate of 1: `Chain([Step(0.1, ...), Exponential(1.0, ...)])`. Equals torch's
    `ChainedScheduler(schedulers)` of schedulers that multiply: `StepLR`, `MultiStepLR`, `ExponentialLR`,
    `LinearLR`, `PolynomialLR`, `LambdaLR`.

    Args:
        schedules: `LearningRateSchedule`s, of tfopt or of Keras, or numbers >= 0.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: something in the list is no schedule, or it is empty.

    Example:
        >>> schedule = Chain([Step(0.1, step_size=10), Linear(0.5, decay_steps=4, final_learning_rate=1.0)])
        >>> [round(float(schedule(step)), 4) for step in (0, 4, 10)]
        [0.05, 0.1, 0.01]
    """

    schedules: arguments.NestedSchedules
    _: KW_ONLY
    name: str = "Chain"

    def _rate(self, step: Any) -> Any:
        return functools.reduce(operator.mul, (nested.rates(each, step) for each in self.schedules))
