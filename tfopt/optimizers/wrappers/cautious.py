"""Cautious optimizers: no step against the gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Share, checked
from tfopt.optimizers._core.base import Optimizer, Update
from tfopt.optimizers._core.group import Group
from tfopt.optimizers.wrappers.base import Wrapper


@keras.saving.register_keras_serializable(package="tfopt")
class Cautious(Wrapper):
    """Leaves out of any optimizer's update what has not the sign of the gradient, and enlarges the rest.

    With the update `u` of a variable before weight decay, its gradient `g` and the mask `1[u g > 0]`:

        p <- p - u mask / max(mean(mask), floor)

    Momentum is kept unmasked. Keeps no state. An inner optimizer of tfopt stays as fast as it is; around
    one of Keras a copy of the weights is made in each step, and an Embedding is read as a whole.

    Reference: Liang et al., Cautious Optimizers: Improving Training with One Line of Code (2024, arXiv
    2411.16085), algorithm 1; the authors' code for AdamW, whose mean over the variable it takes.

    Args:
        inner_optimizer: the optimizer whose updates are masked.
        floor: smallest divisor, in (0, 1]; the authors' 1e-3.
        name: of the optimizer.

    Raises:
        InvalidArgumentError: a number is out of its range, or see `Wrapper`.

    Example:
        >>> optimizer = Cautious(keras.optimizers.AdamW(1e-3, weight_decay=0.1))
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
    """

    @checked
    def __init__(
        self, inner_optimizer: keras.optimizers.Optimizer, floor: Share = 1e-3, name: str = "cautious"
    ) -> None:
        super().__init__(inner_optimizer, name=name)
        self.floor = floor
        if isinstance(inner_optimizer, Optimizer):
            self._rule = inner_optimizer.update
            object.__setattr__(inner_optimizer, "update", self._masked_rule)

    def update_variables(self, gradients: Sequence, variables: Sequence, learning_rate: Any) -> None:
        """Update the variables of one replica."""
        if isinstance(self.inner_optimizer, Optimizer):
            self.update_inner(gradients, variables, learning_rate)
            return
        self.decay_inner(variables, learning_rate)
        before = [tf.identity(variable) for variable in variables]
        self.update_inner(gradients, variables, learning_rate, decay=False)
        for gradient, variable, old in zip(gradients, variables, before, strict=True):
            update = old - variable
            mask = tf.cast(update * tf.convert_to_tensor(gradient) > 0, update.dtype)
            self.assign(variable, old - update * mask / tf.maximum(tf.reduce_mean(mask), self.floor))

    def _masked_rule(self, group: Group) -> Update:
        """Return what a rule of tfopt's returns, masked."""
        update, state = self._rule(group)
        mask = tf.cast(update * group.gradient > 0, update.dtype)
        return update * mask / tf.maximum(group.mean(mask), self.floor), state
