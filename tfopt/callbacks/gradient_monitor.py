"""What the gradients do during training, in the logs of each epoch and in TensorBoard."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt._hyperparameters import Count, checked, with_arguments
from tfopt.callbacks._core import optimizer_hook
from tfopt.callbacks._core.layer_metrics import LayerMetrics
from tfopt.callbacks._core.variables import replicated
from tfopt.clipping.gradients import Gradient, sums_of_squares, values

_SUMS = ("updates", "norm", "clipped_norm", "clip_rate", "nonfinite")


class GradientMonitor(keras.callbacks.Callback):
    """Puts the size of the gradients into the logs of each epoch, next to loss and metrics.

    `keras.callbacks.TensorBoard`, `History` and `CSVLogger` show what is in the logs when they come later in
    the list of callbacks than this one. It works on any Keras optimizer in a compiled model; the gradients
    are those about to be applied: summed over replicas, averaged over accumulated batches, without the loss
    scale. The logs receive:

    - `grad_norm`: global norm before clipping, mean over the finite updates of the epoch (NaN if none was).
    - `learning_rate`: of the next update; `learning_rate_NAME` for each optimizer of a
      `keras.optimizers.MultiOptimizer`, of which each counts as updates of its own.
    - `nonfinite_steps`: updates whose gradients held inf or NaN (or a norm beyond float32, 1e19).
    - `loss_scale`: of a `LossScaleOptimizer`, which halves it at each update that it skips itself; those are
      not among the `nonfinite_steps`.
    - `update_ratio`: norm of the change of all weights relative to the norm of the weights; about 1e-3 is
      usual. Mean over the updates that are measured: the first of an epoch and each `interval`-th after it.
    - `effective_learning_rate`: norm of that change relative to the norm of the (clipped) gradients: the rate
      of SGD that would step as far. Mean over the same updates.
    - `clipped_grad_norm` and `clip_rate`, with a `GradientClipping` in whatever order: the norm after it,
      and the share of non-zero gradient entries that it changed, means over the finite updates. By global
      norm, that is the share of updates that were clipped. `clip_threshold`: its threshold at the last update
      (for `"autoclip"` and `"zclip"` the norm above which they clipped).

    While training and after it, `layers` holds what was last measured of each layer.

    Args:
        interval: measure layers every so many updates, >= 1; `benchmarks/gradient_monitor.py` prints the
            cost.
        log_dir: a directory for TensorBoard: whatever was measured of each layer is written there at each
            such update, by its number. By default nothing is written.

    Raises:
        InvalidArgumentError: `interval` is no whole number >= 1.

    Example:
        >>> watching = [GradientMonitor(), keras.callbacks.TensorBoard("logs")]
        >>> history = model.fit(x, y, verbose=0, callbacks=watching)
        >>> sorted(history.history)
        ['effective_learning_rate', 'grad_norm', 'learning_rate', 'loss', 'nonfinite_steps', 'update_ratio']
    """

    @checked
    def __init__(self, interval: Count = 50, log_dir: str | os.PathLike | None = None) -> None:
        super().__init__()
        self.interval = interval
        self.log_dir: str | None = None if log_dir is None else os.fspath(log_dir)
        self.layers: dict[str, dict[str, float]] = {}
        """Layer path -> `grad_norm`, `clipped_grad_norm`, `weight_norm`, `update_norm`, `update_ratio`."""
        # Variables belong to one training: a callback is copied before, and used again for other models.
        self._sums: Any = None
        self._threshold: Any = None
        self._measured: LayerMetrics | None = None
        self._hooks: list[optimizer_hook.UpdateHook] = []
        self._writer: Any = None
        self._written: int = 0

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Take hold of the optimizer."""
        self._hooks = optimizer_hook.attach(optimizer_hook.Link(owner=self, observe=self._observe))
        self._sums = replicated(self.model, "gradient_sums", [0.0] * len(_SUMS), per_replica=True)
        self._threshold = replicated(self.model, "threshold_seen", np.nan, per_replica=True)
        self._measured = LayerMetrics(self.model, len(self._hooks), self.interval)
        if self.log_dir is not None:
            self._writer = tf.summary.create_file_writer(self.log_dir)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Sum from zero."""
        self._sums.assign([0.0] * len(_SUMS))
        self._layer_metrics.begin_epoch()
        self._written = 0

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Write what was measured, where that is asked for."""
        if self._writer is None or self._layer_metrics.measured == self._written:
            return
        self._written = self._layer_metrics.measured
        self._write()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Put the metrics of the epoch into `logs`."""
        self.layers = self._layer_metrics.of_layers
        if logs is None:
            return
        sums = dict(zip(_SUMS, self._sums.numpy().tolist(), strict=True))
        updates = sums["updates"] or np.nan
        logs["grad_norm"] = sums["norm"] / updates
        if any(hook.transforms for hook in self._hooks):
            logs["clipped_grad_norm"] = sums["clipped_norm"] / updates
            logs["clip_rate"] = sums["clip_rate"] / updates
            logs["clip_threshold"] = float(self._threshold.numpy())
        logs["nonfinite_steps"] = sums["nonfinite"]
        logs |= self._layer_metrics.of_epoch
        for hook in self._hooks:
            name = "learning_rate" if len(self._hooks) == 1 else f"learning_rate_{hook.optimizer.name}"
            logs[name] = float(keras.ops.convert_to_numpy(hook.optimizer.learning_rate))
        scaler = optimizer_hook.scaler_of(self.model)
        if scaler is not None:
            logs["loss_scale"] = float(keras.ops.convert_to_numpy(scaler.dynamic_scale))

    def on_train_end(self, logs: dict | None = None) -> None:
        """Let go of the optimizer."""
        optimizer_hook.detach(self)
        if self._writer is not None:
            self._writer.close()
        self._sums = self._threshold = self._measured = self._writer = None
        self._hooks = []

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return with_arguments(self, {})

    @property
    def variables(self) -> list[keras.Variable]:
        """Those that hold what was measured in the epoch so far, while it trains."""
        return [self._sums, self._threshold, *self._layer_metrics.variables]

    @property
    def _layer_metrics(self) -> LayerMetrics:
        assert self._measured is not None, "set in on_train_begin"
        return self._measured

    def _observe(self, update: optimizer_hook.Update, after: list[Gradient]) -> Callable[[], None]:
        before, squares, norm = update.gradients, update.squares, update.norm
        share = tf.constant(0.0)
        if any(new is not old for new, old in zip(after, before, strict=True)):
            squares = sums_of_squares(after)
            norm = tf.sqrt(tf.reduce_sum(squares))
            share = _share_changed(before, after)
        # Not a product: 0 times NaN is NaN.
        sums = tf.where(update.finite, [1.0, update.norm, norm, share, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0])
        self._sums.assign_add(sums)
        if "clip_threshold" in update.metrics:
            self._threshold.assign(update.metrics["clip_threshold"])
        return self._layer_metrics.observe(update, squares)

    def _write(self) -> None:
        step = int(keras.ops.convert_to_numpy(self._hooks[0].optimizer.iterations))
        with self._writer.as_default(step=step):
            for layer, metrics in self._layer_metrics.of_layers.items():
                for name, value in metrics.items():
                    tf.summary.scalar(f"{name}/{layer}", value)


def _share_changed(before: list[Gradient], after: list[Gradient]) -> tf.Tensor:
    """Return the share of the non-zero entries that differ."""

    def count(flags: list[tf.Tensor]) -> tf.Tensor:
        return tf.add_n([tf.reduce_sum(tf.cast(flag, tf.float32)) for flag in flags])

    changed = count([values(b) != values(a) for b, a in zip(before, after, strict=True)])
    return changed / tf.maximum(count([values(b) != 0 for b in before]), 1.0)
