"""How large gradient, weights and update of each layer are, at some of the updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.callbacks._optimizer_hook import Update
from tfopt.callbacks._variables import layer_paths, replicated
from tfopt.clipping.slices import Gradient, sum_of_squares

_NORMS = ("grad_norm", "clipped_grad_norm", "weight_norm", "update_norm")


class LayerFigures:
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
        self._wait = replicated(model, "updates_to_wait", [0.0] * optimizers, per_replica=True)
        # Of the epoch: how many were measured, and the sums of their ratios.
        self._sums = replicated(model, "ratio_sums", [0.0] * 3, per_replica=True)

    def begin_epoch(self) -> None:
        """Measure the next update."""
        self._wait.assign(tf.zeros_like(self._wait.value))
        self._sums.assign([0.0] * 3)

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
        figures = {}
        for layer, row in zip(self._layers, norms.tolist(), strict=False):
            named = dict(zip(_NORMS, row, strict=True))
            named["update_ratio"] = named["update_norm"] / (named["weight_norm"] or np.nan)
            figures[layer] = named
        return figures

    def observe(self, update: Update, after: list[Gradient]) -> Callable[[], None]:
        """Look at an update in the traced step; call what is returned when it has been applied."""
        waits = tf.convert_to_tensor(self._wait.value)
        wait = waits[update.index]
        # Not by the norm, for which the update would then have to wait.
        may_be_due = wait <= 0
        old = tf.cond(
            may_be_due,
            lambda: [tf.reshape(tf.convert_to_tensor(v), [-1]) for v in update.variables],
            lambda: [self._nothing(v) for v in update.variables],
        )
        due = may_be_due & update.finite

        def finish() -> None:
            left = tf.where(due, self._interval - 1.0, wait - 1.0)
            self._wait.assign(tf.where(tf.range(waits.shape[0]) == update.index, left, waits))
            tf.cond(due, lambda: self._measure(update, after, old), lambda: None)

        return finish

    def _nothing(self, variable: Any) -> tf.Tensor:
        # XLA wants the two branches to give the same shape.
        entries = int(np.prod(variable.shape)) if self._compiled else 0
        return tf.zeros(entries, variable.dtype)

    def _measure(self, update: Update, after: list[Gradient], old: list[tf.Tensor]) -> None:
        rows = []
        for variable, before, clipped, start in zip(
            update.variables, update.gradients, after, old, strict=True
        ):
            square = sum_of_squares(before)
            start = tf.reshape(tf.cast(start, tf.float32), variable.shape)
            change = tf.cast(tf.convert_to_tensor(variable), tf.float32) - start
            own = square if clipped is before else sum_of_squares(clipped)
            rows.append(tf.stack([square, own, sum_of_squares(start), sum_of_squares(change)]))
        places = [self._place(variable) for variable in update.variables]
        of_layers = tf.math.unsorted_segment_sum(tf.stack(rows), places, len(self._layers) + 1)
        mine = tf.reshape(tf.range(self._squares.shape[0]) == update.index, [-1, 1, 1])
        self._squares.assign(tf.where(mine, of_layers, self._squares.value))

        _, gradient, weight, moved = tf.unstack(tf.sqrt(tf.reduce_sum(of_layers, axis=0)))
        ratios = [tf.math.divide_no_nan(moved, weight), tf.math.divide_no_nan(moved, gradient)]
        self._sums.assign_add(tf.stack([1.0, *ratios]))

    def _place(self, variable: Any) -> int:
        path = self._paths.get(id(variable))
        return len(self._layers) if path is None else self._layers.index(path)
