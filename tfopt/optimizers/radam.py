"""RAdam: Adam whose first steps are levelled by the variance of the adaptive rate."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Update
from tfopt.optimizers._core.coupled_decay import CoupledDecay
from tfopt.optimizers._core.group import Group
from tfopt.optimizers._core.rectification import rectification


@keras.saving.register_keras_serializable(package="tfopt")
class RAdam(CoupledDecay):
    """Rectified Adam: needs no warm-up, since it trusts the average square only as far as its length allows.

    With averages `m` of the gradient and `v` of its square after `t` updates, and `r` of equation 5 of the
    paper once `rho_t >= 5` (from the sixth update on at the default `beta_2`):

        p <- p - learning_rate m / (1 - beta_1^t) r sqrt(1 - beta_2^t) / (sqrt(v) + epsilon)

    and before that, `p <- p - learning_rate m / (1 - beta_1^t)`. Epsilon is added to the root before the bias
    correction, as in the authors' code and in torch; optax and optimi add it after.

    Keeps two numbers a weight: 8 bytes in float32, as Keras's Adam.

    Reference: Liu et al., On the Variance of the Adaptive Learning Rate and Beyond (2019, arXiv 1908.03265),
    algorithm 2.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1); up to 2/3 the steps never become adaptive.
        epsilon: added to the root of the average square, > 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        decoupled_weight_decay: as the authors do; otherwise decay is added to the gradient, which is what
            torch does by default.
        degenerated_to_sgd: take the plain steps before the adaptive ones; otherwise wait, decay included.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(RAdam(1e-3, weight_decay=0.01), loss="sparse_categorical_crossentropy")
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
        decoupled_weight_decay: bool = True,
        degenerated_to_sgd: bool = True,
        name: str = "radam",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.decoupled_weight_decay = decoupled_weight_decay
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.degenerated_to_sgd = degenerated_to_sgd

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        state, step, gradient = group.state, group.step, self.gradient(group)
        m = state["gradient_average"] * self.beta_1 + gradient * (1 - self.beta_1)
        v = state["square_average"] * self.beta_2 + tf.square(gradient) * (1 - self.beta_2)
        tractable, factor = rectification(step, self.beta_2, group.layout.dtype)
        adaptive = factor * tf.sqrt(step.bias_correction(self.beta_2))
        rate = step.learning_rate / step.bias_correction(self.beta_1)
        rate *= tf.where(tractable, adaptive, 1.0 if self.degenerated_to_sgd else 0.0)
        divisor = tf.where(tractable, tf.sqrt(v) + self.epsilon, 1.0)
        return rate * m / divisor, {"gradient_average": m, "square_average": v}

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:
        """Return `change` with weight decay in it."""
        decayed = super().decay(change, group)
        if self.degenerated_to_sgd:
            return decayed
        tractable, _ = rectification(group.step, self.beta_2, group.layout.dtype)
        return tf.where(tractable, decayed, change)
