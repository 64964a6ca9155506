"""StableAdamW: AdamW whose rate yields where the average square lags behind the gradient."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Optimizer, Update
from tfopt.optimizers._core.group import Group


@keras.saving.register_keras_serializable(package="tfopt")
class StableAdamW(Optimizer):
    """AdamW with the update clipping of Adafactor: no gradient clipping is needed.

    With bias-corrected averages `m` of the gradient and `v` of its square, for each variable by itself:

        rate = learning_rate / max(1, sqrt(mean(g^2 / max(v, epsilon^2))))
        p <- p - rate (m / (sqrt(v) + epsilon) + weight_decay p)

    so that decay slows down with the step.

    Keeps two numbers a weight: 8 bytes in float32, as Keras's Adam.

    Reference: Wortsman et al., Stable and low-precision training for large-scale vision-language models
    (2023, arXiv 2304.13013), algorithm 2. The defaults are those of the optimi package.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        epsilon: added to the root of the bias-corrected average square, > 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(StableAdamW(1e-3), loss="sparse_categorical_crossentropy")
    """

    slots = ("gradient_average", "square_average")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.99,
        epsilon: Positive = 1e-6,
        weight_decay: NonNegative | None = 0.01,
        name: str = "stable_adamw",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon

    def update(self, group: Group) -> Update:
        """Return the change of the weights, decay included, and the new state."""
        state, step = group.state, group.step
        square = tf.square(group.gradient)
        m = state["gradient_average"] * self.beta_1 + group.gradient * (1 - self.beta_1)
        v = state["square_average"] * self.beta_2 + square * (1 - self.beta_2)
        corrected = v / step.bias_correction(self.beta_2)
        surprise = tf.sqrt(group.mean(square / tf.maximum(corrected, self.epsilon**2)))
        change = m / step.bias_correction(self.beta_1) / (tf.sqrt(corrected) + self.epsilon)
        if group.layout.decays:
            change += group.weights * self.weight_decay
        rate = step.learning_rate / tf.maximum(surprise, 1.0)
        return rate * change, {"gradient_average": m, "square_average": v}

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:  # noqa: ARG002
        """Return `change`: `update` has the rate that decay goes by."""
        return change
