"""What the gradients do during training, in the logs of each epoch."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.callbacks import _optimizer_hook
from tfopt.callbacks._variables import replicated
from tfopt.clipping.slices import Gradient, l2_norm, values

_FIGURES = ("updates", "norm", "clipped_norm", "clip_rate", "nonfinite")


class GradientMonitor(keras.callbacks.Callback):
    """Puts the size of the gradients into the logs of each epoch, beside loss and metrics.

    `keras.callbacks.TensorBoard`, `History` and `CSVLogger` show what is in the logs when they come later in
    the list of callbacks than this one. It works on any Keras optimizer in a compiled model; the gradients
    are those about to be applied: summed over replicas, averaged over accumulated batches, without the loss
    scale. The logs receive:

    - `grad_norm`: global norm before clipping, mean over the finite updates of the epoch (NaN if none was).
    - `learning_rate`: of the next update; `learning_rate_NAME` for each optimizer of a
      `keras.optimizers.MultiOptimizer`, of which each counts as updates of its own.
    - `nonfinite_steps`: updates whose gradients held inf or NaN (or a norm beyond float32, 1e19).
    - `clipped_grad_norm` and `clip_rate`, beside a `GradientClipping` in whatever order: the norm after it,
      and the share of non-zero gradient entries that it changed, means over the finite updates. By global
      norm, that is the share of updates that were clipped.

    Example:
        >>> watching = [GradientMonitor(), keras.callbacks.TensorBoard("logs")]
        >>> history = model.fit(x, y, verbose=0, callbacks=watching)
        >>> sorted(history.history)
        ['grad_norm', 'learning_rate', 'loss', 'nonfinite_steps']
    """

    def __init__(self) -> None:
        super().__init__()
        # Variables belong to one training: a callback is copied before, and used again for other models.
        self._sums: Any = None
        self._hooks: list[_optimizer_hook.UpdateHook] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Take hold of the optimizer."""
        self._sums = replicated(self.model, "gradient_sums", [0.0] * len(_FIGURES), per_replica=True)
        self._hooks = _optimizer_hook.attach(_optimizer_hook.Link(owner=self, observe=self._observe))

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Sum from zero."""
        self._sums.assign([0.0] * len(_FIGURES))

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Put the figures of the epoch into `logs`."""
        if logs is None:
            return
        sums = dict(zip(_FIGURES, self._sums.numpy().tolist(), strict=True))
        updates = sums["updates"] or np.nan
        logs["grad_norm"] = sums["norm"] / updates
        if any(hook.transforms for hook in self._hooks):
            logs["clipped_grad_norm"] = sums["clipped_norm"] / updates
            logs["clip_rate"] = sums["clip_rate"] / updates
        logs["nonfinite_steps"] = sums["nonfinite"]
        for hook in self._hooks:
            name = "learning_rate" if len(self._hooks) == 1 else f"learning_rate_{hook.optimizer.name}"
            logs[name] = float(keras.ops.convert_to_numpy(hook.optimizer.learning_rate))

    def on_train_end(self, logs: dict | None = None) -> None:
        """Let go of the optimizer."""
        _optimizer_hook.detach(self)
        self._sums = None
        self._hooks = []

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {}

    def _observe(self, before: list[Gradient], after: list[Gradient], norm: tf.Tensor) -> None:
        clipped = any(new is not old for new, old in zip(after, before, strict=True))
        figures = [
            1.0,
            norm,
            l2_norm(after) if clipped else norm,
            _share_changed(before, after) if clipped else 0.0,
        ]
        finite = tf.math.is_finite(norm)
        # Not a product: 0 times NaN is NaN.
        counted = tf.where(finite, tf.stack(figures), tf.zeros(len(figures)))
        self._sums.assign_add(tf.concat([counted, [tf.cast(~finite, tf.float32)]], axis=0))


def _share_changed(before: list[Gradient], after: list[Gradient]) -> tf.Tensor:
    """Return the share of the non-zero entries that differ."""

    def count(flags: list[tf.Tensor]) -> tf.Tensor:
        return tf.add_n([tf.reduce_sum(tf.cast(flag, tf.float32)) for flag in flags])

    changed = count([values(b) != values(a) for b, a in zip(before, after, strict=True)])
    return changed / tf.maximum(count([values(b) != 0 for b in before]), 1.0)
