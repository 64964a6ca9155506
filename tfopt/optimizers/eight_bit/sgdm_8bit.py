"""Gradient descent with its momentum in 8 bits."""

from __future__ import annotations

from typing import Any

import keras

from tfopt._hyperparameters import Count, Fraction, NonNegative, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Update
from tfopt.optimizers._core.group import Group
from tfopt.optimizers.eight_bit.base import EightBitOptimizer


@keras.saving.register_keras_serializable(package="tfopt")
class SGDM8bit(EightBitOptimizer):
    """Gradient descent with heavy-ball or Nesterov momentum, the momentum in 8 bits.

    With gradient `g` and momentum `m`:

        m <- momentum m + g
        p <- p - learning_rate (m + weight_decay p)                  or, with `nesterov`,
        p <- p - learning_rate (g + momentum m + weight_decay p)

    `m` is kept in blocks of up to 256 8-bit codes, scaled by the largest of a block: 1.02 bytes a weight
    (Keras's SGD with momentum: 4). Unlike in Keras's SGD the rate is no part of `m`: a new rate acts at once.

    Reference: Dettmers et al., 8-bit Optimizers via Block-wise Quantization (2021, arXiv 2110.02861),
    equation 1.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        momentum: fraction that the momentum keeps, in [0, 1).
        nesterov: look ahead by one step of the momentum.
        weight_decay: >= 0, or `None`; decoupled. See `exclude_from_weight_decay`.
        min_8bit_size: variables with fewer entries keep float32 momentum.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(SGDM8bit(0.1, momentum=0.9), loss="sparse_categorical_crossentropy")
    """

    slots = ("velocity",)

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: Fraction = 0.9,
        nesterov: bool = False,
        weight_decay: NonNegative | None = None,
        min_8bit_size: Count = 4096,
        name: str = "sgdm_8bit",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.min_8bit_size = min_8bit_size
        self.momentum = momentum
        self.nesterov = nesterov

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new momentum."""
        m = group.state["velocity"] * self.momentum + group.gradient
        direction = group.gradient + m * self.momentum if self.nesterov else m
        return group.step.learning_rate * direction, {"velocity": m}
