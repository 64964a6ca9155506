"""ScheduleFreeAdamW: AdamW that needs no decay of its rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import CountFromZero, Fraction, NonNegative, Positive, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.group import Group
from tfopt.optimizers.schedule_free.base import ScheduleFree


@keras.saving.register_keras_serializable(package="tfopt")
class ScheduleFreeAdamW(ScheduleFree):
    """AdamW whose weights are an average of its steps, in place of a schedule that must know the end.

    With the gradient `g` at `y`, which the weights hold while training, and the bias-corrected average
    `v` of `g^2`:

        z <- z - rate (g / (sqrt(v) + epsilon) + weight_decay y)
        x <- (1 - c) x + c z
        y <- (1 - beta_1) z + beta_1 x

    where `rate` is constant after a linear warm-up and `c` weighs update `k` by
    `k^r (largest rate so far)^weight_lr_power`: 1 / k without warm-up. `x` is what learned, and what `fit`
    leaves in the weights; `tfopt.callbacks.EvaluateAtAverage` puts it there for validation and checkpoints
    too, and `to_average()` and `to_training()` do in a loop of one's own.

    Keeps two numbers a weight: 8 bytes in float32 (Keras's Adam: 8). Rates of 1 to 10 times those of AdamW
    with a schedule are usual. `keras.optimizers.ScheduleFreeAdamW` (3.15) is another method on TensorFlow: it
    loses the old `z`, and never evaluates at `x`.

    Reference: Defazio et al., The Road Less Scheduled (2024, arXiv 2405.15682), algorithm 1; the
    weights as in the authors' code.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments. A number is what the
            method is made for.
        beta_1: where gradients are taken between `z` (0) and `x` (1), in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1).
        epsilon: added to the root of the bias-corrected average, > 0.
        warmup_steps: updates over which the rate rises from 0, >= 0; the authors advise some.
        r: power of the number of the update in its weight, >= 0.
        weight_lr_power: power of the rate in it, >= 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> optimizer = ScheduleFreeAdamW(0.0025, warmup_steps=100, weight_decay=0.01)
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
        >>> history = model.fit(x, y, verbose=0, callbacks=[EvaluateAtAverage()])
    """

    slots = ("offset", "square_average")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 0.0025,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.999,
        epsilon: Positive = 1e-8,
        warmup_steps: CountFromZero = 0,
        r: NonNegative = 0.0,
        weight_lr_power: NonNegative = 2.0,
        weight_decay: NonNegative | None = None,
        name: str = "schedule_free_adamw",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, warmup_steps=warmup_steps, weight_decay=weight_decay, name=name, **kwargs
        )
        self._beta, self.r, self.weight_lr_power = beta_1, r, weight_lr_power
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon

    def direction(self, group: Group) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """Return the gradient by the root of its average square."""
        average = group.state["square_average"] * self.beta_2 + tf.square(group.gradient) * (1 - self.beta_2)
        root = tf.sqrt(average / group.step.bias_correction(self.beta_2))
        return group.gradient / (root + self.epsilon), {"square_average": average}
