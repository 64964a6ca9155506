"""ScheduleFreeSGD: SGD that needs no decay of its rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import CountFromZero, Fraction, NonNegative, checked
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.group import Group
from tfopt.optimizers.schedule_free.base import ScheduleFree


@keras.saving.register_keras_serializable(package="tfopt")
class ScheduleFreeSGD(ScheduleFree):
    """SGD whose weights are an average of its steps, in place of a schedule that must know the end.

    With the gradient `g` at `y`, which the weights hold while training:

        z <- z - rate (g + weight_decay y)
        x <- (1 - c) x + c z
        y <- (1 - momentum) z + momentum x

    where `rate` is constant after a linear warm-up and `c` weighs update `k` by
    `k^r (largest rate so far)^weight_lr_power`: 1 / k without warm-up. `x` is what learned, and what `fit`
    leaves in the weights; `tfopt.callbacks.EvaluateAtAverage` puts it there for validation and checkpoints
    too, and `to_average()` and `to_training()` do in a loop of one's own.

    Keeps one number a weight: 4 bytes in float32 (Keras's SGD with momentum: 4). Rates of 10 to 50 times
    those of SGD with momentum are usual.

    Reference: Defazio et al., The Road Less Scheduled (2024, arXiv 2405.15682), equations 3 to 5; the
    weights as in the authors' code.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments. A number is what the
            method is made for.
        momentum: where gradients are taken between `z` (0) and `x` (1), in [0, 1).
        warmup_steps: updates over which the rate rises from 0, >= 0.
        r: power of the number of the update in its weight, >= 0.
        weight_lr_power: power of the rate in it, >= 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> optimizer = ScheduleFreeSGD(1.0, warmup_steps=100)
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
        >>> history = model.fit(x, y, verbose=0, callbacks=[EvaluateAtAverage()])
    """

    slots = ("offset",)

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        momentum: Fraction = 0.9,
        warmup_steps: CountFromZero = 0,
        r: NonNegative = 0.0,
        weight_lr_power: NonNegative = 2.0,
        weight_decay: NonNegative | None = None,
        name: str = "schedule_free_sgd",
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate, warmup_steps=warmup_steps, weight_decay=weight_decay, name=name, **kwargs
        )
        self._beta, self.r, self.weight_lr_power = momentum, r, weight_lr_power
        self.momentum = momentum

    def direction(self, group: Group) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """Return the gradient."""
        return group.gradient, {}
