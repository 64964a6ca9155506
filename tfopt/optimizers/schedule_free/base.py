"""What the schedule-free optimizers share: three sequences, of which the weights hold one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import CountFromZero, checked
from tfopt.optimizers._core import keras_private
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Optimizer, Values
from tfopt.optimizers._core.group import Group, UpdateStep


class ScheduleFree(Optimizer):
    """Base of the schedule-free optimizers; a subclass writes `direction`, and `rate` where it differs.

    `z` takes the steps, `x` is their average and is what is evaluated, and gradients are taken between, at
    `y`. With the direction `d` at `y` (weight decay included), at update `k`:

        z <- z - rate d
        x <- (1 - c) x + c z,   c = w_k / (w_1 + ... + w_k),   w_k = k^r (largest rate so far)^weight_lr_power
        y <- (1 - beta) z + beta x

    The weights hold `y` while training; the state holds `z - x`, from which both others follow.

    Reference: Defazio et al., The Road Less Scheduled (2024, arXiv 2405.15682), equations 3 to 5 and
    algorithm 1.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        warmup_steps: updates over which the rate rises from 0, >= 0.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Attributes, which a subclass sets:
        _beta: where gradients are taken between `z` (0) and `x` (1), in [0, 1).
        r: power of the number of the update in its weight, >= 0.
        weight_lr_power: power of the rate in it, >= 0.
    """

    @checked
    def __init__(
        self,
        learning_rate: LearningRate,
        *,
        warmup_steps: CountFromZero = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, **kwargs)
        self.warmup_steps = warmup_steps

    # What a subclass writes.

    _beta: float
    r: float
    weight_lr_power: float

    def direction(self, group: Group) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """Return the direction before weight decay, and the new state besides `offset`."""
        raise NotImplementedError

    def rate(self, step: UpdateStep) -> tf.Tensor:
        """Return the learning rate of an update, warm-up included."""
        if not self.warmup_steps:
            return step.learning_rate
        return step.learning_rate * tf.minimum(step.number / self.warmup_steps, 1.0)

    # Whether the weights hold `x` or `y`.

    def to_average(self) -> None:
        """Put `x` into the weights, to evaluate, save or export them; nothing happens if it is there."""
        self._move_everywhere(to_average=True)

    def to_training(self) -> None:
        """Put `y` into the weights, where gradients are to be taken; nothing happens if it is there.

        An update does so too, but its own gradient was taken at `x` then.
        """
        self._move_everywhere(to_average=False)

    def finalize_variable_values(self, var_list: Sequence) -> None:
        """Put `x` into the weights, as `fit` does in the end; with `use_ema` the moving average of `y`."""
        if self.use_ema:
            super().finalize_variable_values(var_list)
            # It takes the place of `x` from here on.
            self._at_average.assign(True)
        else:
            self.to_average()

    def _move_everywhere(self, *, to_average: bool) -> None:
        if not self.built:
            return
        variables = keras_private.variables_of(self)
        first = variables[0]
        keras_private.strategy_of(self).extended.update(
            first.value if isinstance(first, keras.Variable) else first,
            lambda _: self._move(to_average=to_average),
            group=False,
        )
        # Pruned weights are to be zero in both.
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable))

    def _move(self, *, to_average: bool) -> None:
        """Move the weights of one replica."""
        at_average = tf.convert_to_tensor(self._at_average)
        for layout, state in self._groups:
            share = (tf.cast(at_average, layout.dtype) - float(to_average)) * (1 - self._beta)
            moves = layout.split(share * tf.convert_to_tensor(state["offset"]))
            for index, move in zip(layout.indices, moves, strict=True):
                self.assign_add(keras_private.variables_of(self)[index], move)
        self.assign(self._at_average, to_average)

    # One update.

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for `variables`."""
        if self.built:
            return
        super().build(variables)
        self._at_average = self.add_variable((), dtype="bool", name="at_average")
        self._largest_rate = self.add_variable((), dtype="float32", name="largest_rate")
        self._weight_sum = self.add_variable((), dtype="float32", name="weight_sum")

    def update_variables(
        self, gradients: Sequence[tf.Tensor], variables: Sequence[tf.Variable], learning_rate: Any
    ) -> None:
        """Update the variables of one replica by dense gradients, summed over replicas."""
        if len(variables) < len(keras_private.variables_of(self)):
            # Those without gradient must not stay at `x` when the others leave it.
            self._move(to_average=False)
        super().update_variables(gradients, variables, learning_rate)

    def updates(self, groups: Sequence[Group]) -> Iterator[Values]:
        """Yield the values of each group after its update."""
        # Scalars cost nothing in double precision.
        step = UpdateStep(groups[0].step.number, groups[0].step.learning_rate, "float64")
        rate = self.rate(step)
        scalars = (rate, self._average_share(step.number, rate), tf.cast(self._at_average, "float64"))
        self.assign(self._at_average, False)
        evaluate = self.evaluator()
        for group in groups:
            yield evaluate(self._update, group, *(tf.cast(scalar, group.layout.dtype) for scalar in scalars))

    def _average_share(self, number: tf.Tensor, rate: tf.Tensor) -> tf.Tensor:
        """Return `c`: the share that `z` has in the new average."""
        before = tf.cast(self._largest_rate, rate.dtype)
        largest = tf.maximum(rate, before)
        # The sum is kept in units of its last weight: it is near `number` then, exact at any rate.
        growth = (1 - 1 / number) ** self.r * tf.math.divide_no_nan(before, largest) ** self.weight_lr_power
        weighs = tf.logical_or(largest > 0, self.weight_lr_power == 0)
        total = tf.where(weighs, tf.cast(self._weight_sum, rate.dtype) * growth + 1, 0.0)
        self.assign(self._largest_rate, largest)
        self.assign(self._weight_sum, total)
        return tf.math.divide_no_nan(tf.ones_like(total), total)

    def _update(self, group: Group, rate: tf.Tensor, share: tf.Tensor, at_average: tf.Tensor) -> Values:
        """Return the weights after an update, whether they held `y` or `x`, and the new state."""
        offset = group.state["offset"]
        to_training = at_average * (1 - self._beta)
        direction, state = self.direction(group)
        if group.layout.decays:
            direction += (group.weights + to_training * offset) * self.weight_decay
        step = rate * direction
        change = step * (1 - self._beta * (1 - share)) - offset * (self._beta * share + to_training)
        return group.weights - change, {**state, "offset": (offset - step) * (1 - share)}
