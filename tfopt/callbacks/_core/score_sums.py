"""What pruning sums over the steps of a training, from weights and the gradients that update them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.callbacks._core import optimizer_hook
from tfopt.callbacks._core.optimizer_hook import Link, Update
from tfopt.callbacks._core.variables import replicated
from tfopt.clipping.gradients import Gradient
from tfopt.pruning.criteria import FromGradients
from tfopt.pruning.masks import Masked


class ScoreSums:
    """Keeps a sum in each mask while a model trains; see `SparsityMask.sums`.

    The masks hold the sums, so that a checkpoint of a pipeline, which keeps what constraints hold, has them.

    Args:
        owner: the callback that prunes.
        entries: the kernels.
        criterion: what is summed; None for the size of the gradient of the last update alone.
    """

    def __init__(
        self, owner: keras.callbacks.Callback, entries: Sequence[Masked], criterion: FromGradients | None
    ) -> None:
        self._owner = owner
        self._criterion = criterion
        self._entries = {id(entry.kernel.variable): entry for entry in entries}
        for entry in entries:
            zeros = np.zeros(tuple(entry.kernel.variable.shape), np.float32)
            entry.mask.sums = replicated(owner.model, "sums", zeros, per_replica=True)
        # Gradients alone are wanted at some steps only.
        self._wanted = replicated(owner.model, "sums_wanted", float(criterion is not None), per_replica=True)
        optimizer_hook.attach(Link(owner=owner, observe=self._observe))

    def want(self) -> None:
        """Keep the gradients of the next update."""
        self._wanted.assign(1.0)

    def restart(self) -> None:
        """Forget what was summed; where gradients alone are kept, keep none until they are wanted."""
        for entry in self._entries.values():
            assert entry.mask.sums is not None
            entry.mask.sums.assign(np.zeros(tuple(entry.mask.sums.shape), np.float32))
        if self._criterion is None:
            self._wanted.assign(0.0)

    @property
    def empty(self) -> bool:
        """Whether there was no update yet to sum over."""
        sums = [entry.mask.sums for entry in self._entries.values()]
        return not any(np.any(each.numpy()) for each in sums if each is not None)

    def end(self) -> None:
        """Let go of the optimizer and of the sums."""
        optimizer_hook.detach(self._owner)
        for entry in self._entries.values():
            entry.mask.sums = None

    def _observe(self, update: Update, after: Sequence[Gradient]) -> None:  # noqa: ARG002
        pairs: list[tuple[Any, Any, Any]] = [
            (self._entries[id(variable)].mask.sums, variable, gradient)
            for variable, gradient in zip(update.variables, update.gradients, strict=True)
            if id(variable) in self._entries
        ]

        def add() -> None:
            for sums, variable, gradient in pairs:
                slope = tf.cast(tf.convert_to_tensor(gradient), tf.float32)
                if self._criterion is None:
                    sums.assign(tf.abs(slope))
                else:
                    weights = tf.cast(tf.convert_to_tensor(variable), tf.float32)
                    sums.assign_add(self._criterion.summand(weights, slope))

        tf.cond(update.finite & (self._wanted.value > 0), add, lambda: None)
