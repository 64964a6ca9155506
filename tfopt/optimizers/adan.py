"""Adan: Adam with Nesterov momentum from gradient differences."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Optimizer, Update
from tfopt.optimizers._core.group import Group


@keras.saving.register_keras_serializable(package="tfopt")
class Adan(Optimizer):
    """Adaptive Nesterov momentum: running averages of the gradient, of its change and of their square.

    With gradient `g`, its change `d` since the last step (0 at the first) and bias-corrected averages
    `m` of `g`, `v` of `d` and `n` of `(g + beta_2 d)^2`:

        p <- (p - learning_rate (m + beta_2 v) / (sqrt(n) + epsilon)) / (1 + learning_rate weight_decay)

    Keeps four numbers a weight: 16 bytes in float32 (Keras's Adam: 8). Rates of 5 to 10 times Adam's are
    usual.

    Reference: Xie et al., Adan: Adaptive Nesterov Momentum Algorithm for Faster Optimizing Deep Models
    (2022, arXiv 2208.06677), algorithm 1. The betas here are fractions kept, as in the authors' code: 1 minus
    the paper's.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average change keeps, in [0, 1).
        beta_3: fraction that the average square keeps, in [0, 1).
        epsilon: added to the root of the average square, > 0.
        weight_decay: >= 0, or `None`; the authors use 0.02. See `exclude_from_weight_decay`.
        no_prox: decay by `p (1 - learning_rate weight_decay)` before the step, as AdamW does, instead of the
            division after it.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> optimizer = Adan(3e-3, weight_decay=0.02)
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
    """

    slots = ("gradient_average", "change_average", "square_average", "last_gradient")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta_1: Fraction = 0.98,
        beta_2: Fraction = 0.92,
        beta_3: Fraction = 0.99,
        epsilon: Positive = 1e-8,
        weight_decay: NonNegative | None = None,
        no_prox: bool = False,
        name: str = "adan",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2, self.beta_3 = beta_1, beta_2, beta_3
        self.epsilon = epsilon
        self.no_prox = no_prox

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        state, step = group.state, group.step
        # `last_gradient` holds zeros at first, so the change counts from the second step on.
        change = tf.where(step.number > 1, group.gradient - state["last_gradient"], 0.0)
        m = state["gradient_average"] * self.beta_1 + group.gradient * (1 - self.beta_1)
        v = state["change_average"] * self.beta_2 + change * (1 - self.beta_2)
        n = state["square_average"] * self.beta_3 + (1 - self.beta_3) * tf.square(
            group.gradient + self.beta_2 * change
        )
        numerator = m / step.bias_correction(self.beta_1) + v * (
            self.beta_2 / step.bias_correction(self.beta_2)
        )
        root = tf.sqrt(n / step.bias_correction(self.beta_3))
        return step.learning_rate * numerator / (root + self.epsilon), {
            "gradient_average": m,
            "change_average": v,
            "square_average": n,
            "last_gradient": group.gradient,
        }

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:
        """Return `change` with weight decay in it."""
        if self.no_prox:
            return super().decay(change, group)
        # A factor near 1 would be rounded; what is taken away is not.
        shrink = group.step.learning_rate * self.weight_decay
        return change + (group.weights - change) * (shrink / (1 + shrink))
