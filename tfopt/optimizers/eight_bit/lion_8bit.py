"""Lion with its average in 8 bits."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Count, Fraction, NonNegative, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Update
from tfopt.optimizers._core.group import Group
from tfopt.optimizers.eight_bit.base import EightBitOptimizer


@keras.saving.register_keras_serializable(package="tfopt")
class Lion8bit(EightBitOptimizer):
    """Steps by the sign of a mean of gradient and average gradient, the average in 8 bits.

    With gradient `g` and average `m`:

        p <- p - learning_rate (sign(beta_1 m + (1 - beta_1) g) + weight_decay p)
        m <- beta_2 m + (1 - beta_2) g

    `m` is kept in blocks of up to 256 8-bit codes, scaled by the largest of a block: 1.02 bytes a weight
    (Keras's Lion: 4). Rates of a third to a tenth of Adam's are usual.

    Reference: Chen et al., Symbolic Discovery of Optimization Algorithms (2023, arXiv 2302.06675), algorithm
    2; Dettmers et al., 8-bit Optimizers via Block-wise Quantization (2021, arXiv 2110.02861).

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: weight of the average in the sign, in [0, 1).
        beta_2: fraction that the average keeps, in [0, 1).
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        min_8bit_size: variables with fewer entries keep a float32 average.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(Lion8bit(1e-4, weight_decay=0.1), loss="sparse_categorical_crossentropy")
    """

    slots = ("gradient_average",)

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1e-4,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.99,
        weight_decay: NonNegative | None = None,
        min_8bit_size: Count = 4096,
        name: str = "lion_8bit",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.min_8bit_size = min_8bit_size
        self.beta_1, self.beta_2 = beta_1, beta_2

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new average."""
        m, g = group.state["gradient_average"], group.gradient
        change = group.step.learning_rate * tf.sign(m * self.beta_1 + g * (1 - self.beta_1))
        return change, {"gradient_average": m * self.beta_2 + g * (1 - self.beta_2)}
