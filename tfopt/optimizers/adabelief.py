"""AdaBelief: Adam that divides by how far gradients stray from their average."""

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
class AdaBelief(CoupledDecay):
    """Large steps where the gradient is as expected, small ones where it is not.

    With `m` the average gradient after `t` updates:

        s <- beta_2 s + (1 - beta_2) (g - m)^2 + epsilon
        p <- p - learning_rate m / (1 - beta_1^t) / (sqrt(s / (1 - beta_2^t)) + epsilon)

    Epsilon occurs twice, and the one in `s` accumulates. With the default of 1e-16, a gradient that never
    changes makes steps of thousands of rates in the end. `rectify` does with `s` what `RAdam` does with
    the average square, its epsilon added to `sqrt(s)` before the bias correction.

    Keeps two numbers a weight: 8 bytes in float32, as Keras's Adam.

    Reference: Zhuang et al., AdaBelief Optimizer: Adapting Stepsizes by the Belief in Observed Gradients
    (2020, arXiv 2010.07468), algorithm 2.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments.
        beta_1: fraction that the average gradient keeps, in [0, 1).
        beta_2: fraction that the average squared surprise keeps, in [0, 1).
        epsilon: added to that average and to its root, > 0. The authors advise 1e-16 for transformers and
            1e-8 for convolutional networks.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        rectify: level the first steps as `RAdam` does. The paper's algorithm does not; the authors' package
            has it as its default.
        decoupled_weight_decay: otherwise decay is added to the gradient.
        degenerated_to_sgd: with `rectify`, take the plain steps before the adaptive ones; otherwise only
            decay.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> model.compile(AdaBelief(1e-3, rectify=True), loss="sparse_categorical_crossentropy")
    """

    slots = ("gradient_average", "surprise_average")

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1e-3,
        beta_1: Fraction = 0.9,
        beta_2: Fraction = 0.999,
        epsilon: Positive = 1e-16,
        weight_decay: NonNegative | None = None,
        rectify: bool = False,
        decoupled_weight_decay: bool = True,
        degenerated_to_sgd: bool = True,
        name: str = "adabelief",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.decoupled_weight_decay = decoupled_weight_decay
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon
        self.rectify = rectify
        self.degenerated_to_sgd = degenerated_to_sgd

    def update(self, group: Group) -> Update:
        """Return the change of the weights and the new state."""
        state, step, gradient = group.state, group.step, self.gradient(group)
        m = state["gradient_average"] * self.beta_1 + gradient * (1 - self.beta_1)
        squared = tf.square(gradient - m) * (1 - self.beta_2)
        s = state["surprise_average"] * self.beta_2 + (squared + self.epsilon)
        new = {"gradient_average": m, "surprise_average": s}
        rate = step.learning_rate / step.bias_correction(self.beta_1)
        correction = tf.sqrt(step.bias_correction(self.beta_2))
        if not self.rectify:
            return rate * m / (tf.sqrt(s) / correction + self.epsilon), new
        tractable, factor = rectification(step, self.beta_2, group.layout.dtype)
        rate *= tf.where(tractable, factor * correction, 1.0 if self.degenerated_to_sgd else 0.0)
        return rate * m / tf.where(tractable, tf.sqrt(s) + self.epsilon, 1.0), new
