"""What the learning-rate-free optimizers share: an estimate of the distance to the solution."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import keras
import tensorflow as tf

from tfopt import _validation
from tfopt.optimizers._core.base import Optimizer
from tfopt.optimizers._core.group import Group, UpdateStep, sums_of_runs


def _growth_rate(optimizer: str, name: str, value: float) -> float:
    return value if value == math.inf else _validation.number(optimizer, name, value, above=1)


GrowthRate = Annotated[float, _growth_rate]


class LearningRateFree(Optimizer):
    """Base of optimizers whose rate is an estimate `d` of how far the solution is from the initial weights.

    The estimate never falls. An update at learning rate 0, or before any gradient differed from 0, changes
    and counts nothing.

    Attributes, which a subclass sets:
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        epsilon: > 0.
        bias_correction: divide as Adam does by what the averages have gathered.
        decouple: decay the weights themselves; otherwise the decay is part of the gradient.
        initial_distance: the first estimate, > 0: below the true one.
        growth_rate: the most by which an update multiplies the estimate, > 1, `float("inf")` for no limit.
    """

    beta_1: float
    beta_2: float
    epsilon: float
    bias_correction: bool
    decouple: bool
    initial_distance: float
    growth_rate: float

    @property
    def distance(self) -> float:
        """The estimate `d` after the last update."""
        return float(keras.ops.convert_to_numpy(self._distance)) if self.built else self.initial_distance

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for `variables`."""
        if self.built:
            return
        super().build(variables)
        self._distance = self.add_scalar("distance", self.initial_distance)
        self._numerator = self.add_scalar("numerator")
        self._counted = self.add_scalar("counted")

    def add_scalar(self, name: str, first: float = 0.0) -> keras.Variable:
        """Return a new scalar of the optimizer, in double precision: it costs nothing, and errors add up."""

        def initial(shape: Sequence[int], dtype: str) -> tf.Tensor:
            # Keras's Constant has the precision of float32.
            return tf.constant(first, dtype, shape)

        return self.add_variable((), initial, dtype="float64", name=name)

    def own_step(self, step: UpdateStep) -> UpdateStep:
        """Return the step in double precision, with the number of those that counted."""
        return UpdateStep(tf.convert_to_tensor(self._counted) + 1, step.learning_rate, "float64")

    def rate(self, step: UpdateStep, distance: tf.Tensor) -> tf.Tensor:
        """Return the rate of an update: the distance, the learning rate and Adam's bias correction."""
        rate = distance * step.learning_rate
        if self.bias_correction:
            rate *= tf.sqrt(step.bias_correction(self.beta_2)) / step.bias_correction(self.beta_1)
        return rate

    def gradient(self, group: Group) -> tf.Tensor:
        """Return the gradient, with the weight decay that is part of it."""
        if group.layout.decays and not self.decouple:
            return group.gradient + group.weights * self.weight_decay
        return group.gradient


def total(x: tf.Tensor) -> tf.Tensor:
    """Return the sum of a group's tensor, in double precision but for runs of 16 entries."""
    return tf.add_n([tf.reduce_sum(tf.cast(part, "float64")) for part in sums_of_runs(x)])
