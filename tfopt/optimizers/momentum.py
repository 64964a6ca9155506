"""Momentum: gradient descent along a running average of the gradient."""

from __future__ import annotations

from typing import Any

import keras

from tfopt._hyperparameters import Fraction, NonNegative, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Update
from tfopt.optimizers._core.coupled_decay import CoupledDecay
from tfopt.optimizers._core.group import Group


@keras.saving.register_keras_serializable(package="tfopt")
class Momentum(CoupledDecay):
    """Steps along the average gradient, so that the rate means the same at any momentum.

        m <- momentum m + (1 - momentum) g
        p <- p - learning_rate m

    Keras's `SGD` has the heavy ball, `m <- momentum m + g`, whose steps are `1 / (1 - momentum)` times as
    long: a rate of 0.01 there is one of 0.1 here, at `momentum=0.9`. As optax's `ema`; optimi's `SGD` with
    `dampening=True`; torch's `SGD` with `dampening=momentum` differs in that its average starts at the first
    gradient.

    Keeps one number a weight: 4 bytes in float32 (Keras's Adam: 8). No epsilon.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        momentum: fraction that the average keeps, in [0, 1).
        debias: divide the average by `1 - momentum^t`, the weight that it has gathered after `t` updates:
            the first steps are as long as the later ones.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        decoupled_weight_decay: otherwise decay is added to the gradient, the usual form with SGD.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(Momentum(0.1, debias=True), loss="sparse_categorical_crossentropy")
    """

    slots = ("gradient_average",)

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: Fraction = 0.9,
        debias: bool = False,
        weight_decay: NonNegative | None = None,
        decoupled_weight_decay: bool = True,
        name: str = "momentum",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.decoupled_weight_decay = decoupled_weight_decay
        self.momentum = momentum
        self.debias = debias

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        m = group.state["gradient_average"] * self.momentum + self.gradient(group) * (1 - self.momentum)
        rate = group.step.learning_rate
        if self.debias:
            rate /= group.step.bias_correction(self.momentum)
        return m * rate, {"gradient_average": m}
