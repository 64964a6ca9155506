"""DAdaptAdam: Adam that finds its own rate, by D-Adaptation."""

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
class DAdaptAdam(LearningRateFree):
    """Adam whose rate is a lower bound `d` of the distance from the initial weights to a solution.

    With gradients `g` of all variables together, `rate = d learning_rate` and `b = sqrt(beta_2)`:

        r <- b r + (1 - b) rate <g, s / (sqrt(v) + epsilon)>
        m <- beta_1 m + (1 - beta_1) rate g
        v <- beta_2 v + (1 - beta_2) g^2
        s <- b s + (1 - b) rate g
        p <- p - m / (sqrt(v) + epsilon) - rate weight_decay p
        d <- max(d, r / ((1 - b) |s|_1))

    Leave `learning_rate` at 1, or let a schedule take it from 1 to 0.

    Keeps three numbers a weight: 12 bytes in float32 (Keras's Adam: 8).

    Reference: Defazio and Mishchenko, Learning-Rate-Free Learning by D-Adaptation (2023, arXiv 2301.07733),
    algorithm 5; the rest as in the authors' code, where decay is part of the gradient by default.

    Args:
        learning_rate: factor on the bound, >= 0: a number, a `LearningRateSchedule` or a function without
            arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        epsilon: added to the root of the average square, > 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        decouple: decay the weights themselves; otherwise the decay is part of the gradient.
        bias_correction: multiply the rate by `sqrt(1 - beta_2^t) / (1 - beta_1^t)`.
        initial_distance: the first bound, d0 in the paper, > 0: below the true one.
        growth_rate: the most by which an update multiplies the bound, > 1; 1.02 is a kind of warm-up.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Attributes:
        distance: the bound after the last update.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> optimizer = DAdaptAdam(weight_decay=0.01)
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
        >>> history = model.fit(x, y, epochs=5, verbose=0)
        >>> optimizer.distance > 1e-6
        True
    """

    slots = ("average", "square_average", "estimate_average")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.999,
        epsilon: Positive = 1e-8,
        weight_decay: NonNegative | None = None,
        decouple: bool = True,
        bias_correction: bool = False,
        initial_distance: Positive = 1e-6,
        growth_rate: GrowthRate = float("inf"),
        name: str = "dadapt_adam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.decouple = decouple
        self.bias_correction = bias_correction
        self.initial_distance = initial_distance
        self.growth_rate = growth_rate

    def updates(self, groups: Sequence[Group]) -> Iterator[Values]:
        """Yield the values of each group after its update, and then set the distance for the next one."""
        step = self.own_step(groups[0].step)
        distance = tf.convert_to_tensor(self._distance)
        rate = self.rate(step, distance)
        moves = step.learning_rate > 0
        evaluate = self.evaluator()
        sums = []
        for group in groups:
            values, parts = evaluate(self._update, group, moves, tf.cast(rate, group.layout.dtype))
            sums.append(parts)
            yield values
        product, norm = (tf.add_n(parts) for parts in zip(*sums, strict=True))
        self._estimate(tf.logical_and(moves, norm > 0), distance, rate * product, norm)

    def _update(self, group: Group, moves: tf.Tensor, rate: tf.Tensor) -> tuple[Values, tuple]:
        """Return the new values, and what a group adds to `<g, s / (sqrt(v) + epsilon)>` and to `|s|_1`."""
        state, gradient, root_beta = group.state, self.gradient(group), self.beta_2**0.5
        scaled = gradient * rate
        m = state["average"] * self.beta_1 + scaled * (1 - self.beta_1)
        v = state["square_average"] * self.beta_2 + tf.square(gradient) * (1 - self.beta_2)
        s = state["estimate_average"] * root_beta + scaled * (1 - root_beta)
        before = tf.sqrt(state["square_average"]) + self.epsilon
        sums = total(gradient * state["estimate_average"] / before), total(tf.abs(s))
        change = m / (tf.sqrt(v) + self.epsilon)
        if group.layout.decays and self.decouple:
            change += group.weights * (rate * self.weight_decay)
        new = {"average": m, "square_average": v, "estimate_average": s}
        kept = {slot: tf.where(moves, value, state[slot]) for slot, value in new.items()}
        return (tf.where(moves, group.weights - change, group.weights), kept), sums

    def _estimate(self, counts: tf.Tensor, distance: tf.Tensor, gain: tf.Tensor, norm: tf.Tensor) -> None:
        """Set the distance for the next update."""
        root_beta = self.beta_2**0.5
        numerator = tf.convert_to_tensor(self._numerator)
        new_numerator = numerator * root_beta + gain * (1 - root_beta)
        found = tf.math.divide_no_nan(new_numerator, (1 - root_beta) * norm)
        new = tf.maximum(distance, tf.minimum(found, distance * self.growth_rate))
        self.assign(self._numerator, tf.where(counts, new_numerator, numerator))
        self.assign(self._distance, tf.where(counts, new, distance))
        self.assign_add(self._counted, tf.cast(counts, "float64"))
