"""Schedules multiplied with one another."""

import functools
import operator
from collections.abc import Sequence
from typing import Any

import keras

from tfopt.schedules._core import arguments, nested
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
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

    def __init__(self, schedules: Sequence[Any], *, name: str = "Chain") -> None:
        super().__init__(name)
        self.schedules = arguments.schedules(name, schedules)

    def _rate(self, step: Any) -> Any:
        return functools.reduce(operator.mul, (nested.rates(each, step) for each in self.schedules))

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, the schedules serialized."""
        return super().get_config() | {"schedules": [nested.serialized(each) for each in self.schedules]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Chain":
        """Return the schedule that `get_config` described."""
        return cls(**config | {"schedules": [nested.deserialized(each) for each in config["schedules"]]})
