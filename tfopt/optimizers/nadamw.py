"""NadamW: AdamW with Nesterov momentum."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Optimizer, Update
from tfopt.optimizers._core.group import Group


@keras.saving.register_keras_serializable(package="tfopt")
class NadamW(Optimizer):
    """Adam that looks one step ahead along its momentum, with decoupled weight decay.

    With averages `m` of the gradient and `v` of its square after `t` updates:

        n = beta_1 m / (1 - beta_1^(t + 1)) + (1 - beta_1) g / (1 - beta_1^t)
        p <- p - learning_rate (n / (sqrt(v / (1 - beta_2^t)) + epsilon) + weight_decay p)

    as optax's `nadamw`. Keras's `Nadam` has no weight decay that `exclude_from_weight_decay` keeps through a
    saved model, and follows Dozat's growing momentum, `beta_1 (1 - 0.5 0.96^t)`, which torch's `NAdam` slows
    down by `momentum_decay=0.004`: three different trajectories.

    Keeps two numbers a weight: 8 bytes in float32, as Keras's Adam.

    Reference: Dozat, Incorporating Nesterov Momentum into Adam (2016, ICLR workshop), algorithm 2; Loshchilov
    and Hutter, Decoupled Weight Decay Regularization (2017, arXiv 1711.05101).

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        epsilon: added to the root of the bias-corrected average square, > 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        correct_ahead: divide `m` by what it will have gathered one update later; otherwise both terms of `n`
            by `1 - beta_1^t`, as timm and the AlgoPerf benchmark do.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(NadamW(1e-3, weight_decay=0.01), loss="sparse_categorical_crossentropy")
    """

    slots = ("gradient_average", "square_average")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.999,
        epsilon: Positive = 1e-8,
        weight_decay: NonNegative | None = None,
        correct_ahead: bool = True,
        name: str = "nadamw",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.correct_ahead = correct_ahead

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        state, step = group.state, group.step
        fresh = group.gradient * (1 - self.beta_1)
        m = state["gradient_average"] * self.beta_1 + fresh
        v = state["square_average"] * self.beta_2 + tf.square(group.gradient) * (1 - self.beta_2)
        gathered = step.bias_correction(self.beta_1)
        ahead = gathered + (1 - gathered) * (1 - self.beta_1) if self.correct_ahead else gathered
        rate = step.learning_rate
        numerator = m * (rate * self.beta_1 / ahead) + fresh * (rate / gathered)
        root = tf.sqrt(v / step.bias_correction(self.beta_2))
        return numerator / (root + self.epsilon), {"gradient_average": m, "square_average": v}
