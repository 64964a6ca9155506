"""Piecewise constant, one factor lower at each step."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any

import keras
from keras import ops

from tfopt import _validation
from tfopt._hyperparameters import NonNegative, Steps
from tfopt.errors import InvalidArgumentError
from tfopt.schedules._core import arguments
from tfopt.schedules._core.schedule import Schedule


@keras.saving.register_keras_serializable(package="tfopt")
@dataclass(eq=False)
class Step(Schedule):
    """Multiplies the rate by `gamma` at regular steps, or at each of the milestones.

    Equals torch's `StepLR(step_size, gamma)` and `MultiStepLR(milestones, gamma)`, and optax's
    `piecewise_constant_schedule(init_value, boundaries_and_scales)` with its keys as milestones and its
    values as `gamma`. Keras's `PiecewiseConstantDecay` steps one update later.

    Reference: He et al., Deep Residual Learning for Image Recognition (2016, arXiv 1512.03385), section
    3.4: divided by 10 where the error plateaus.

    Args:
        initial_learning_rate: the rate of the first updates, >= 0.
        step_size: updates from one step to the next, >= 1.
        milestones: the updates from which on a lower rate holds, increasing, >= 1; instead of `step_size`.
        gamma: the factor, > 0, or with milestones a list with one factor for each.
        name: a name for the graph.

    Raises:
        InvalidArgumentError: an argument is out of its range, the milestones do not increase, or both or
            none of `step_size` and `milestones` are given.

    Example:
        >>> schedule = Step(0.1, milestones=[30, 60])
        >>> [round(float(schedule(step)), 5) for step in (0, 29, 30, 60)]
        [0.1, 0.1, 0.01, 0.001]
    """

    initial_learning_rate: NonNegative
    _: KW_ONLY
    step_size: Steps | None = None
    milestones: arguments.Milestones | None = None
    gamma: float | Sequence[float] = 0.1
    name: str = "Step"

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.step_size is None) == (self.milestones is None):
            raise InvalidArgumentError(
                f"{self.name}: expected either step_size or milestones, got step_size={self.step_size!r} and "
                f"milestones={self.milestones!r}."
            )
        if self.milestones is None or not isinstance(self.gamma, list | tuple):
            self.gamma = _validation.number(self.name, "gamma", self.gamma, above=0)
            return
        if len(self.gamma) != len(self.milestones):
            raise InvalidArgumentError(
                f"{self.name}: expected one gamma for all milestones or one for each, got {len(self.gamma)} "
                f"for {len(self.milestones)} milestones."
            )
        self.gamma = [_validation.number(self.name, "each gamma", each, above=0) for each in self.gamma]

    def _rate(self, step: Any) -> Any:
        if self.milestones is None:
            return self.initial_learning_rate * ops.power(self.gamma, ops.floor(step / self.step_size))
        gammas = self.gamma if isinstance(self.gamma, list) else [self.gamma] * len(self.milestones)
        rates = list(
            itertools.accumulate([self.initial_learning_rate, *gammas], lambda rate, gamma: rate * gamma)
        )
        passed = ops.expand_dims(step, -1) >= ops.convert_to_tensor(self.milestones, "float64")
        return ops.take(ops.convert_to_tensor(rates, "float64"), ops.sum(ops.cast(passed, "int32"), axis=-1))
