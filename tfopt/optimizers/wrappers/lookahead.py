"""Lookahead: slow weights that follow the fast ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfopt._hyperparameters import Count, Share, checked
from tfopt.optimizers.wrappers.base import Wrapper


@keras.saving.register_keras_serializable(package="tfopt")
class Lookahead(Wrapper):
    """Lets any optimizer explore for some steps, then goes a part of the way.

    Every `sync_period` updates of the inner optimizer, with its weights `p` and slow weights `s` that start
    at the initial weights:

        s <- s + slow_step_size (p - s)
        p <- s

    Between, the weights are the fast ones: train a multiple of `sync_period` updates, or evaluate after
    them. Keeps one number a weight more than the inner optimizer, whose own state it leaves alone.

    Reference: Zhang et al., Lookahead Optimizer: k steps forward, 1 step back (2019, arXiv 1907.08610),
    algorithm 1.

    Args:
        inner_optimizer: the optimizer of the fast weights.
        sync_period: updates between two syncs, k in the paper, >= 1.
        slow_step_size: part of the way, alpha in the paper, in (0, 1].
        name: of the optimizer.

    Raises:
        InvalidArgumentError: a number is out of its range, or see `Wrapper`.

    Example:
        >>> optimizer = Lookahead(keras.optimizers.Adam(1e-3), sync_period=5)
        >>> model.compile(optimizer, loss="sparse_categorical_crossentropy")
    """

    @checked
    def __init__(
        self,
        inner_optimizer: keras.optimizers.Optimizer,
        sync_period: Count = 5,
        slow_step_size: Share = 0.5,
        name: str = "lookahead",
    ) -> None:
        super().__init__(inner_optimizer, name=name)
        self.sync_period = sync_period
        self.slow_step_size = slow_step_size

    def build(self, variables: Sequence[keras.Variable]) -> None:
        """Create the state for `variables`."""
        if self.built:
            return
        super().build(variables)
        self._slow = self.add_optimizer_variables(variables, "slow")

    def update_variables(self, gradients: Sequence, variables: Sequence, learning_rate: Any) -> None:
        """Update the variables of one replica."""
        slow = [self._slow[self.index(variable)] for variable in variables]
        number = tf.convert_to_tensor(self.iterations) + 1

        def start() -> None:
            for s, variable in zip(slow, variables, strict=True):
                self.assign(s, variable)

        def sync() -> None:
            for s, variable in zip(slow, variables, strict=True):
                new = s + self.slow_step_size * (variable - s)
                self.assign(s, new)
                self.assign(variable, new)

        # What build() assigns is lost under fit().
        tf.cond(number == 1, start, lambda: None)
        self.update_inner(gradients, variables, learning_rate)
        tf.cond(number % self.sync_period == 0, sync, lambda: None)
