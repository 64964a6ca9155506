"""ScheduleFreeRAdam: RAdam that needs neither warm-up nor decay of its rate."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, Positive, checked
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers._core.arguments import LearningRate
from tfopt.optimizers._core.group import Group, UpdateStep
from tfopt.optimizers._core.rectification import rectification
from tfopt.optimizers.schedule_free.base import ScheduleFree

_SHORTEST = math.nextafter(4, 5)
"""The authors rectify for `rho > 4`, RAdam's from 5 on."""


@keras.saving.register_keras_serializable(package="tfopt")
class ScheduleFreeRAdam(ScheduleFree):
    """RAdam whose weights are an average of its steps: neither warm-up nor decay of the rate to choose.

    With the gradient `g` at `y`, which the weights hold while training, the bias-corrected average `v` of
    `g^2`, and the rectification `q` and length `rho` of RAdam at this update:

        z <- z - learning_rate q (g / (sqrt(v) + epsilon) + weight_decay y)    if rho > 4
        z <- z - learning_rate (g + weight_decay y)                            before; not if silent
        x <- (1 - c) x + c z
        y <- (1 - beta_1) z + beta_1 x

    `c` weighs update `k` by `k^r (largest rate so far)^weight_lr_power`, where `q` is part of the rate. `x`
    is what learned, and what `fit` leaves in the weights; `tfopt.callbacks.EvaluateAtAverage` puts it there
    for validation and checkpoints too, and `to_average()` and `to_training()` do in a loop of one's own.

    Keeps two numbers a weight: 8 bytes in float32 (Keras's Adam: 8).

    Reference: Defazio et al., The Road Less Scheduled (2024, arXiv 2405.15682), with the rectification of
    Liu et al., On the Variance of the Adaptive Learning Rate and Beyond (2019, arXiv 1908.03265), as in the
    code of the former's authors.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments. A number is what the
            method is made for.
        beta_1: where gradients are taken between `z` (0) and `x` (1), in [0, 1).
        beta_2: fraction that the average square keeps, in [0, 1); above 0.6 with `silent_sgd_phase`, as
            `rho` never reaches 4 below.
        epsilon: added to the root of the bias-corrected average, > 0.
        r: power of the number of the update in its weight, >= 0.
        weight_lr_power: power of the rate in it, >= 0.
        silent_sgd_phase: be silent in the first updates, which RAdam would make as SGD: do not move.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(ScheduleFreeRAdam(0.0025), loss="sparse_categorical_crossentropy")
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
        r: NonNegative = 0.0,
        weight_lr_power: NonNegative = 2.0,
        silent_sgd_phase: bool = True,
        weight_decay: NonNegative | None = None,
        name: str = "schedule_free_radam",
        **kwargs: Any,
    ) -> None:
        if silent_sgd_phase and beta_2 <= 0.6:
            raise InvalidArgumentError(
                f"ScheduleFreeRAdam: expected beta_2 > 0.6 with silent_sgd_phase, got {beta_2!r}: it would "
                "never move. Choose a larger one, or silent_sgd_phase=False."
            )
        if kwargs.get("warmup_steps"):
            raise InvalidArgumentError(
                f"ScheduleFreeRAdam: takes no warmup_steps, got {kwargs['warmup_steps']!r}: its "
                "rectification is a warm-up. Leave them out, or take ScheduleFreeAdamW."
            )
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self._beta, self.r, self.weight_lr_power = beta_1, r, weight_lr_power
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.silent_sgd_phase = silent_sgd_phase

    def rate(self, step: UpdateStep) -> tf.Tensor:
        """Return the rectified learning rate of an update."""
        known, factor = rectification(step, self.beta_2, step.learning_rate.dtype, _SHORTEST)
        return step.learning_rate * (tf.where(known, factor, 0.0) if self.silent_sgd_phase else factor)

    def direction(self, group: Group) -> tuple[tf.Tensor, Mapping[str, tf.Tensor]]:
        """Return the gradient, by the root of its average square once that is known well enough."""
        average = group.state["square_average"] * self.beta_2 + tf.square(group.gradient) * (1 - self.beta_2)
        root = tf.sqrt(average / group.step.bias_correction(self.beta_2))
        known, _ = rectification(group.step, self.beta_2, group.layout.dtype, _SHORTEST)
        return group.gradient / tf.where(known, root + self.epsilon, 1.0), {"square_average": average}
