"""LARS: momentum whose rate is scaled to each layer's weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Fraction, NonNegative, checked
from tfopt.optimizers._core import keras_private
from tfopt.optimizers._core.arguments import LearningRate, Patterns
from tfopt.optimizers._core.base import Optimizer, Update, Values, has_path
from tfopt.optimizers._core.group import Group


@keras.saving.register_keras_serializable(package="tfopt")
class LARS(Optimizer):
    """Layer-wise adaptive rate scaling: every layer moves by a like share of its norm, for large batches.

    For each variable by itself, with `u = g + weight_decay p`:

        v <- momentum v + learning_rate trust_coefficient |p| / (|u| + epsilon) u
        p <- p - v

    as optax's `lars`. Where `|p|` or `|u|` is 0, the ratio is 1. Weight decay is part of `u`, so that the
    ratio balances it too. The rate is that of each step's part of `v`, not of the whole.

    Keeps one number a weight: 4 bytes in float32 (Keras's Adam: 8).

    Reference: You et al., Large Batch Training of Convolutional Networks (2017, arXiv 1708.03888),
    algorithm 1.

    Args:
        learning_rate: >= 0, a `LearningRateSchedule`, or a function without arguments. It multiplies the
            ratio, so that values around 1 and larger are usual.
        momentum: fraction that `v` keeps, in [0, 1).
        trust_coefficient: >= 0; eta of the paper.
        epsilon: added to the norm of `u`, >= 0.
        weight_decay: >= 0, or `None`. See `exclude_from_weight_decay`.
        nesterov: step by `momentum v` and this step's part of `v` once more.
        separate_norms: divide by `|g| + weight_decay |p| + epsilon`, as the paper and timm do, instead of by
            the norm of the sum.
        exclude_from_layer_adaptation: regular expressions; a variable whose path (`"conv1/bias"`) holds one
            has a ratio of 1. Usual for biases and normalization: `["bias", "gamma", "beta"]`; the paper and
            optax adapt all.
        **kwargs: of `tfopt.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: a number is out of its range.

    Example:
        >>> optimizer = LARS(1.0, weight_decay=1e-4, exclude_from_layer_adaptation=["bias", "gamma", "beta"])
        >>> optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
    """

    slots = ("velocity",)

    @checked
    def __init__(
        self,
        learning_rate: LearningRate = 1.0,
        momentum: Fraction = 0.9,
        trust_coefficient: NonNegative = 0.001,
        epsilon: NonNegative = 0.0,
        weight_decay: NonNegative | None = None,
        nesterov: bool = False,
        separate_norms: bool = False,
        exclude_from_layer_adaptation: Patterns = (),
        name: str = "lars",
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, weight_decay=weight_decay, name=name, **kwargs)
        self.momentum = momentum
        self.trust_coefficient = trust_coefficient
        self.epsilon = epsilon
        self.nesterov = nesterov
        self.separate_norms = separate_norms
        self.exclude_from_layer_adaptation = exclude_from_layer_adaptation

    def updates(self, groups: Sequence[Group]) -> Iterator[Values]:
        """Yield the values of each group after its update."""
        yield from super().updates([self._adapted(group) for group in groups])

    def update(self, group: Group) -> Update:
        """Return the change of the weights by an adapted gradient, and the new state."""
        part = group.gradient * group.step.learning_rate
        velocity = group.state["velocity"] * self.momentum + part
        change = velocity * self.momentum + part if self.nesterov else velocity
        return change, {"velocity": velocity}

    def decay(self, change: tf.Tensor, group: Group) -> tf.Tensor:  # noqa: ARG002
        """Return `change`: decay is part of the gradient."""
        return change

    def _adapted(self, group: Group) -> Group:
        """Return the group with decay and trust ratio in its gradient."""
        # Here and not in `update`, which is not told which variables its group holds.
        gradient, weights, layout = group.gradient, group.weights, group.layout
        decay = self.weight_decay if layout.decays else 0.0
        total = gradient + weights * decay if decay else gradient
        adapts = [
            not has_path(keras_private.variables_of(self)[index], self.exclude_from_layer_adaptation)
            for index in layout.indices
        ]
        if not any(adapts):
            return dataclasses.replace(group, gradient=total)
        size = group.norm(weights)
        pull = group.norm(gradient) + size * decay if self.separate_norms else group.norm(total)
        known = (size > 0) & (pull > 0)
        if not all(adapts):
            known &= tf.repeat(adapts, layout.sizes)
        ratio = self.trust_coefficient * size / tf.where(known, pull + self.epsilon, 1.0)
        return dataclasses.replace(group, gradient=total * tf.where(known, ratio, 1.0))
