"""AdamW with both averages in 8 bits."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Count, Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.base import Update
from tfopt.optimizers._core.group import Group
from tfopt.optimizers.eight_bit.base import EightBitOptimizer


@keras.saving.register_keras_serializable(package="tfopt")
class AdamW8bit(EightBitOptimizer):
    """AdamW whose averages take a quarter of the memory, and that trains as well as in float32.

    With gradient `g`, the step number `t` and averages `m` of `g` and `v` of `g^2`:

        m^ = m / (1 - beta_1^t),  v^ = v / (1 - beta_2^t)
        p <- p - learning_rate (m^ / (sqrt(v^) + epsilon) + weight_decay p)

    `m` and `sqrt(v)` are kept in blocks of up to 256 8-bit codes on a dynamic map, scaled by the largest of a
    block: 2.03 bytes a weight (Keras's Adam: 8). The root keeps small `v` apart from 0 that `v` itself would
    not, and follows the float32 weights more closely.

    Reference: Dettmers et al., 8-bit Optimizers via Block-wise Quantization (2021, arXiv 2110.02861);
    Loshchilov & Hutter, Decoupled Weight Decay Regularization (2017, arXiv 1711.05101). The authors
    code `v` itself.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        epsilon: added to the root of the corrected average square, > 0; Keras's Adam adds it to that of the
            uncorrected one.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        min_8bit_size: variables with fewer entries keep float32 averages.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(AdamW8bit(1e-3, weight_decay=0.01), loss="sparse_categorical_crossentropy")
    """

    slots = ("gradient_average", "square_average")
    square_slots = ("square_average",)

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.999,
        epsilon: Positive = 1e-8,
        weight_decay: NonNegative | None = 0.01,
        min_8bit_size: Count = 4096,
        name: str = "adamw_8bit",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.min_8bit_size = min_8bit_size
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new averages."""
        state, step, g = group.state, group.step, group.gradient
        m = state["gradient_average"] * self.beta_1 + g * (1 - self.beta_1)
        v = state["square_average"] * self.beta_2 + tf.square(g) * (1 - self.beta_2)
        # One factor a step instead of one a weight.
        root_correction = tf.sqrt(step.bias_correction(self.beta_2))
        rate = step.learning_rate * root_correction / step.bias_correction(self.beta_1)
        change = rate * m / (tf.sqrt(v) + self.epsilon * root_correction)
        return change, {"gradient_average": m, "square_average": v}
