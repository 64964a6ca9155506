"""ADOPT: Adam that converges with any beta_2."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Update
from tfopt.optimizers._core.coupled_decay import CoupledDecay
from tfopt.optimizers._core.group import Group


@keras.saving.register_keras_serializable(package="tfopt")
class ADOPT(CoupledDecay):
    """Divides each gradient by the average square of those before it, then averages.

    The first update only sets `v = g^2`: no weight moves, and none decays. Then, at update `t`:

        m <- beta_1 m + (1 - beta_1) clip(g / max(sqrt(v), epsilon), (t - 1)^clip_exponent)
        p <- p - learning_rate m
        v <- beta_2 v + (1 - beta_2) g^2

    There is no bias correction. Epsilon bounds the root from below instead of being added to it.

    Keeps two numbers a weight: 8 bytes in float32, as Keras's Adam.

    Reference: Taniguchi et al., ADOPT: Modified Adam Can Converge with Any beta_2 with the Optimal Rate
    (2024, arXiv 2411.02853), algorithm 2 (with clipping), and the authors' code.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average step keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        epsilon: lower bound of the root of the average square, > 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        clip_exponent: >= 0, or `None` for no clipping. The authors' is 0.25; timm uses 0.333.
        decoupled_weight_decay: otherwise decay is added to the gradient, which is the default of the
            authors' code.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(ADOPT(1e-3, weight_decay=0.01), loss="sparse_categorical_crossentropy")
    """

    slots = ("step_average", "square_average")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.9999,
        epsilon: Positive = 1e-6,
        weight_decay: NonNegative | None = None,
        clip_exponent: NonNegative | None = 0.25,
        decoupled_weight_decay: bool = True,
        name: str = "adopt",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.decoupled_weight_decay = decoupled_weight_decay
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.clip_exponent = clip_exponent

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        state, gradient = group.state, self.gradient(group)
        first = group.step.number == 1
        v = state["square_average"]
        normalized = gradient / tf.maximum(tf.sqrt(v), self.epsilon)
        if self.clip_exponent is not None:
            limit = tf.pow(group.step.number - 1, self.clip_exponent)
            normalized = tf.clip_by_value(normalized, -limit, limit)
        # Before there is a `v`, nothing may reach the average.
        dtype = group.layout.dtype
        m_share = tf.where(first, 0.0, tf.constant(1 - self.beta_1, dtype))
        v_share = tf.where(first, 1.0, tf.constant(1 - self.beta_2, dtype))
        m = state["step_average"] * self.beta_1 + normalized * m_share
        new = v * self.beta_2 + tf.square(gradient) * v_share
        return group.step.learning_rate * m, {"step_average": m, "square_average": new}

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:
        """Return `change` with weight decay in it."""
        return tf.where(group.step.number == 1, change, super().decay(change, group))
