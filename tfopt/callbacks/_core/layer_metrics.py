"""How large gradient, weights and update of each layer are, at some of the updates."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.callbacks._core.optimizer_hook import Update
from tfopt.callbacks._core.variables import layer_paths, replicated
from tfopt.clipping.gradients import sums_of_squares

_NORMS = ("grad_norm", "clipped_grad_norm", "weight_norm", "update_norm")


class LayerMetrics:
    """Measures every so many updates, in the traced step, at no cost in the others but a comparison.

    Args:
        model: the compiled model that trains.
        optimizers: how many optimizers it has.
        interval: measure the first update of an epoch, and every so many after it.
    """

    def __init__(self, model: keras.Model, optimizers: int, interval: int) -> None:
        # A subclassed model may have no variables yet; then there are the sums over all layers alone.
        self._paths = layer_paths(model) if model.built else {}
        self._layers = [*dict.fromkeys(self._paths.values())]
        self._compiled = bool(model.jit_compile)
        self._interval = interval
        zeros = np.zeros((optimizers, len(self._layers) + 1, len(_NORMS)), "float32")
        # Sums of squares as last measured; the last row is of variables of no known layer.
        self._squares = replicated(model, "layer_squares", zeros, per_replica=True)
        # Of each optimizer: updates until the next one that is measured.
        self._waits = [
            replicated(model, f"updates_to_wait_{i}", 0.0, per_replica=True) for i in range(optimizers)
        ]
        # Of the epoch: how many were measured, and the sums of their ratios.
        self._sums = replicated(model, "ratio_sums", [0.0] * 3, per_replica=True)

    def begin_epoch(self) -> None:
        """Measure the next update."""
        for wait in self._waits:
            wait.assign(0.0)
        self._sums.assign([0.0] * 3)

    @property
    def variables(self) -> list[keras.Variable]:
        """Those that hold what was measured in the epoch so far."""
        return [self._squares, *self._waits, self._sums]

    @property
    def measured(self) -> int:
        """How many updates were measured in this epoch."""
        return int(self._sums.numpy()[0])

    @property
    def of_epoch(self) -> dict[str, float]:
        """`update_ratio` and `effective_learning_rate`, means over the updates measured in this epoch."""
        count, ratio, rate = self._sums.numpy().tolist()
        count = count or np.nan
        return {"update_ratio": ratio / count, "effective_learning_rate": rate / count}

    @property
    def of_layers(self) -> dict[str, dict[str, float]]:
        """Layer path -> norms and `update_ratio`, as last measured."""
        norms = np.sqrt(np.sum(self._squares.numpy(), axis=0))
        metrics = {}
        for layer, row in zip(self._layers, norms.tolist(), strict=False):
            named = dict(zip(_NORMS, row, strict=True))
            named["update_ratio"] = named["update_norm"] / (named["weight_norm"] or np.nan)
            metrics[layer] = named
        return metrics

    def observe(self, update: Update, squares: tf.Tensor) -> Callable[[], None]:
        """Look at an update in the traced step; call what is returned when it has been applied.

        Args:
            update: what is about to be applied.
            squares: the sum of squares of each gradient after all transforms.
        """
        wait = self._waits[update.index]
        left = tf.convert_to_tensor(wait.value)
        # Not by the norm, for which the update would then have to wait. As one tensor, as each that leaves
        # or enters a branch costs time also where the branch is not taken.
        may_be_due = left <= 0
        size = sum(math.prod(variable.shape) for variable in update.variables)
        old = tf.cond(
            may_be_due,
            lambda: _joined(update.variables),
            # XLA wants the two branches to give the same shape.
            lambda: tf.zeros(size if self._compiled else 0),
        )
        due = may_be_due & update.finite

        def finish() -> None:
            wait.assign(tf.where(due, float(self._interval), left) - 1.0)
            tf.cond(due, lambda: self._measure(update, squares, tf.reshape(old, [size])), lambda: None)

        return finish

    def _measure(self, update: Update, squares: tf.Tensor, old: tf.Tensor) -> None:
        sizes = [math.prod(variable.shape) for variable in update.variables]
        moved = tf.split(_joined(update.variables) - old, sizes)
        weights = tf.split(old, sizes)
        rows = tf.stack([update.squares, squares, sums_of_squares(weights), sums_of_squares(moved)], axis=1)
        places = [self._place(variable) for variable in update.variables]
        of_layers = tf.math.unsorted_segment_sum(rows, places, len(self._layers) + 1)
        mine = tf.reshape(tf.range(self._squares.shape[0]) == update.index, [-1, 1, 1])
        self._squares.assign(tf.where(mine, of_layers, self._squares.value))

        _, gradient, weight, change = tf.unstack(tf.sqrt(tf.reduce_sum(of_layers, axis=0)))
        ratios = [tf.math.divide_no_nan(change, weight), tf.math.divide_no_nan(change, gradient)]
        self._sums.assign_add(tf.stack([1.0, *ratios]))

    def _place(self, variable: Any) -> int:
        path = self._paths.get(id(variable))
        return len(self._layers) if path is None else self._layers.index(path)


def _joined(variables: Sequence[Any]) -> tf.Tensor:
    """Return all entries of the variables as one float32 vector."""
    flat = [tf.reshape(tf.cast(tf.convert_to_tensor(v), tf.float32), [-1]) for v in variables]
    return tf.concat(flat, axis=0)
