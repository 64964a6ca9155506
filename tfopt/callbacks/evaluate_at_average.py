"""Validation and checkpoints of a schedule-free optimizer at what it learned."""

# ruff: noqa: ARG002 (Keras calls its callbacks with more than each needs)

from __future__ import annotations

from typing import Any

import keras

from tfopt.callbacks._core.optimizer_hook import innermost_optimizers
from tfopt.errors import InvalidArgumentError
from tfopt.optimizers.schedule_free.base import ScheduleFree


class EvaluateAtAverage(keras.callbacks.Callback):
    """Puts the average into the weights whenever a model with a schedule-free optimizer is looked at.

    Such an optimizer (`tfopt.optimizers.ScheduleFreeAdamW`, ...) trains at other weights than those that it
    recommends. With this callback, validation, what other callbacks see at the end of an epoch, and the model
    after `fit` are at the average, and all gradients are taken where they should be: a training resumed from
    an epoch's checkpoint is then the same as an uninterrupted one. Without it, only the model after `fit` is
    at the average.

    It works through a `LossScaleOptimizer`, in a `MultiOptimizer` and in tfopt's wrappers; place it before
    `keras.callbacks.ModelCheckpoint` and others that look at the weights.

    Raises:
        InvalidArgumentError: when training or evaluation begins and no optimizer is schedule-free.

    Example:
        >>> model.compile(ScheduleFreeSGD(1.0), loss="sparse_categorical_crossentropy")
        >>> saving = keras.callbacks.ModelCheckpoint("{epoch}.keras")
        >>> history = model.fit(x, y, verbose=0, callbacks=[EvaluateAtAverage(), saving])
    """

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Return to where gradients are to be taken."""
        # Not when training begins: BackupAndRestore loads a model after that.
        for optimizer in self._optimizers():
            optimizer.to_training()

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Evaluate at the average."""
        self._to_average()

    def on_predict_begin(self, logs: dict | None = None) -> None:
        """Predict at the average."""
        self._to_average()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Show the average to the callbacks that follow."""
        self._to_average()

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {}

    def _to_average(self) -> None:
        for optimizer in self._optimizers():
            optimizer.to_average()

    def _optimizers(self) -> list[ScheduleFree]:
        compiled = getattr(self.model, "optimizer", None)
        optimizers = list(innermost_optimizers(compiled)) if compiled else []
        found = [optimizer for optimizer in optimizers if isinstance(optimizer, ScheduleFree)]
        # A MultiOptimizer does not know its optimizers before it is built, when there is nothing to move.
        if not compiled or (optimizers and not found):
            raise InvalidArgumentError(
                "EvaluateAtAverage: expected a model compiled with a schedule-free optimizer, got "
                f"{compiled!r}. Compile it with tfopt.optimizers.ScheduleFreeAdamW(...), or drop this."
            )
        return found
