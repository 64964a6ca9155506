"""Prodigy: Adam that finds its own rate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Values
from tfopt.optimizers._core.group import Group
from tfopt.optimizers.learning_rate_free.base import GrowthRate, LearningRateFree, total


@keras.saving.register_keras_serializable(package="tfopt")
class Prodigy(LearningRateFree):
    """Adam whose rate is an estimate `d` of the distance from the initial weights `p0` to a solution.

    With gradients `g` of all variables together, and `rate = d learning_rate`:

        m <- beta_1 m + (1 - beta_1) d g
        v <- beta_2 v + (1 - beta_2) d^2 g^2
        r <- beta_3 r + (d / initial_distance) rate <g, p0 - p>
        s <- beta_3 s + (d / initial_distance) rate g
        d <- max(d, distance_coefficient r / |s|_1)
        p <- p - rate (m / (sqrt(v) + d epsilon) + weight_decay p)

    where `rate` is that of before the new `d`. Leave `learning_rate` at 1, or let a schedule take it from 1
    to 0; `distance_coefficient` is what to tune, 0.5 to 2.

    Keeps four numbers a weight: 16 bytes in float32 (Keras's Adam: 8): `m`, `v`, `s` and the sum of all
    changes, which says `p0 - p` without the rounding of `p`.

    Reference: Mishchenko and Defazio, Prodigy: An Expeditiously Adaptive Parameter-Free Learner (2023, arXiv
    2306.06101), algorithm 4; the rest as in the authors' code.

    Args:
        learning_rate: factor on the estimate, >= 0: a number, a `LearningRateSchedule` or a function without
            arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        beta_3: fraction that the sums of the estimate keep, in [0, 1); by default the root of `beta_2`.
        epsilon: times `d` added to the root of the average square, > 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        decouple: decay the weights themselves; otherwise the decay is part of the gradient.
        bias_correction: multiply the rate by `sqrt(1 - beta_2^t) / (1 - beta_1^t)`.
        safeguard_warmup: leave `learning_rate` out of `s`, for schedules with a warm-up.
        initial_distance: the first estimate, d0 in the paper, > 0: below the true one.
        distance_coefficient: factor on new estimates, > 0.
        growth_rate: the most by which an update multiplies the estimate, > 1; 1.02 is a kind of warm-up.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Attributes:
        distance: the estimate after the last update.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> optimizer = Prodigy(weight_decay=0.01)
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
        >>> history = model.fit(x, y, epochs=5, verbose=0)
        >>> optimizer.distance > 1e-6
        True
    """

    slots = ("average", "square_average", "estimate_average", "displacement")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.999,
        beta_3: Fraction | None = None,
        epsilon: Positive = 1e-8,
        weight_decay: NonNegative | None = None,
        decouple: bool = True,
        bias_correction: bool = False,
        safeguard_warmup: bool = False,
        initial_distance: Positive = 1e-6,
        distance_coefficient: Positive = 1.0,
        growth_rate: GrowthRate = float("inf"),
        name: str = "prodigy",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.decouple = decouple
        self.bias_correction = bias_correction
        self.initial_distance = initial_distance
        self.growth_rate = growth_rate
        self.beta_3 = beta_3
        self.safeguard_warmup = safeguard_warmup
        self.distance_coefficient = distance_coefficient

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for `variables`."""
        if self.built:
            return
        super().build(variables)
        self._largest_distance = self.add_scalar("largest_distance", self.initial_distance)

    def updates(self, groups: Sequence[Group]) -> Iterator[Values]:
        """Yield the values of each group after its update, by the distance that all of them together say."""
        step = self.own_step(groups[0].step)
        distance = tf.convert_to_tensor(self._distance)
        rate = self.rate(step, distance)
        scale = distance / self.initial_distance
        weight = scale * (distance if self.safeguard_warmup else rate)
        evaluate = self.evaluator()

        def cast(group: Group, *scalars: tf.Tensor) -> list[tf.Tensor]:
            return [tf.cast(scalar, group.layout.dtype) for scalar in scalars]

        # The change depends on the sums over all groups, so each is visited twice; the first writes nothing.
        sums = [evaluate(self._sums, group, *cast(group, weight)) for group in groups]
        product, norm = (tf.add_n(parts) for parts in zip(*sums, strict=True))
        counts = tf.logical_and(step.learning_rate > 0, norm > 0)
        new = self._estimate(counts, distance, scale * rate * product, norm)
        self.assign_add(self._counted, tf.cast(counts, "float64"))
        for group in groups:
            yield evaluate(self._update, group, counts, *cast(group, rate, weight, distance, new))

    def _sums(self, group: Group, weight: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return what a group adds to `<g, p0 - p>` and to `|s|_1`."""
        gradient = self.gradient(group)
        estimate = self._estimate_average(group, gradient, weight)
        return total(gradient * group.state["displacement"]), total(tf.abs(estimate))

    def _estimate_average(self, group: Group, gradient: tf.Tensor, weight: tf.Tensor) -> tf.Tensor:
        """Return the new `s`."""
        return group.state["estimate_average"] * self._beta_3 + gradient * weight

    @property
    def _beta_3(self) -> float:
        return self.beta_2**0.5 if self.beta_3 is None else self.beta_3

    def _estimate(
        self, counts: tf.Tensor, distance: tf.Tensor, gain: tf.Tensor, norm: tf.Tensor
    ) -> tf.Tensor:
        """Return the new distance, and keep it."""
        numerator = tf.convert_to_tensor(self._numerator)
        new_numerator = numerator * self._beta_3 + gain
        found = self.distance_coefficient * tf.math.divide_no_nan(new_numerator, norm)
        largest = tf.convert_to_tensor(self._largest_distance)
        new_largest = tf.maximum(largest, found)
        # The first estimate is arbitrary, so the limit on growth counts from the first that is not.
        base = tf.where(distance == self.initial_distance, tf.maximum(distance, found), distance)
        new = tf.where(counts, tf.minimum(new_largest, base * self.growth_rate), distance)
        self.assign(self._numerator, tf.where(counts, new_numerator, numerator))
        self.assign(self._largest_distance, tf.where(counts, new_largest, largest))
        self.assign(self._distance, new)
        return new

    def _update(
        self,
        group: Group,
        counts: tf.Tensor,
        rate: tf.Tensor,
        weight: tf.Tensor,
        distance: tf.Tensor,
        new_distance: tf.Tensor,
    ) -> Values:
        """Return the weights after an update and the new state."""
        state, gradient = group.state, self.gradient(group)
        scaled = gradient * distance
        m = state["average"] * self.beta_1 + scaled * (1 - self.beta_1)
        v = state["square_average"] * self.beta_2 + tf.square(scaled) * (1 - self.beta_2)
        # The authors' code keeps no average at beta_1 = 0, and takes the new distance then.
        numerator = m if self.beta_1 else gradient * new_distance
        change = rate * numerator / (tf.sqrt(v) + new_distance * self.epsilon)
        if group.layout.decays and self.decouple:
            change += group.weights * (rate * self.weight_decay)
        change = tf.where(counts, change, 0.0)
        new = {
            "average": m,
            "square_average": v,
            "estimate_average": self._estimate_average(group, gradient, weight),
            "displacement": state["displacement"] + change,
        }
        return group.weights - change, {
            slot: tf.where(counts, value, state[slot]) for slot, value in new.items()
        }
