"""The callback that keeps a training's history and its checkpoints, and restores it from one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras

from tfopt.callbacks import GradientMonitor
from tfopt.pipeline.training import checkpoint
from tfopt.pipeline.training.pause import History, TrainingPaused

GoesOn = Callable[[int, History], bool]
"""Takes how many epochs are done and the logs so far; returns whether the training goes on."""


class Recorder(keras.callbacks.Callback):
    """Restores the checkpoint when training begins, then keeps the history and writes checkpoints.

    It comes after the callbacks whose state it keeps: they prepare themselves in `on_train_begin`, and
    only then can they be given the state that they had. The state of the middle of an epoch is restored when
    that epoch has begun, once more: what callbacks do at its beginning is done in that state already.

    Args:
        path: of the checkpoint; `None` in a process that is not the chief.
        callbacks: whose state is kept.
        monitor: whose means over an epoch go on in the middle of one.
        found: the checkpoint to begin with.
        goes_on: asked after each epoch; `None` where the training always goes on.
        every: write a checkpoint each so many steps too; `None` at the end of epochs alone.

    Attributes:
        history: of the logs.
        paused: what to raise after `fit`, where `goes_on` has said no.
    """

    async_safe = True  # it never reads the logs of a batch, so nothing has to wait for a device

    def __init__(
        self,
        path: Path | None,
        callbacks: Sequence[keras.callbacks.Callback],
        monitor: GradientMonitor,
        found: checkpoint.Checkpoint | None,
        goes_on: GoesOn | None,
        every: int | None = None,
    ) -> None:
        super().__init__()
        self.history: dict[str, list[float]] = {}
        self.paused: TrainingPaused | None = None
        self._goes_on = goes_on
        self._path = path
        self._callbacks = callbacks
        self._monitor = monitor
        self._found = found
        self._every = every
        self._began = 0.0
        self._epoch = 0
        self._written = 0
        """Multiples of `every` that are done of the epoch."""

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Restore the checkpoint."""
        self._began = time.monotonic()
        if self._found is not None:
            self._found.restore(self.model, self._callbacks)
            self.history = {name: list(values) for name, values in self._found.history.items()}
            self._began -= self._found.seconds

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Restore the state of the middle of the epoch, where the training goes on there."""
        self._epoch, self._written = epoch, 0
        if self._found is not None and self._found.step:
            self._found.restore(self.model, self._callbacks, self._measured())
            self._written = self._found.step // self._every if self._every else 0
        self._found = None

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        """Write a checkpoint, if it is time."""
        if self._every is None:
            return
        done = batch + 1
        if done // self._every == self._written or done >= self.params["steps"] or self.model.stop_training:
            return
        self._written = done // self._every
        self._write(self._measured(), epoch=self._epoch, step=done, stopped=False)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Keep the logs, write a checkpoint, and ask whether the training goes on."""
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        ended = bool(self.model.stop_training)
        self._write((), epoch=epoch + 1, step=0, stopped=ended)
        if ended or epoch + 1 == self.params["epochs"] or self._goes_on is None:
            return
        if not self._goes_on(epoch + 1, self.history):
            self.paused = TrainingPaused(self.history, self._seconds)
            self.model.stop_training = True

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._began

    def _measured(self) -> list[keras.Variable]:
        """Return the variables that hold the logs of the epoch so far."""
        return [*self.model.metrics_variables, *self._monitor.variables]

    def _write(self, measured: Sequence[keras.Variable], *, epoch: int, step: int, stopped: bool) -> None:
        checkpoint.write(
            self._path,
            self.model,
            self._callbacks,
            measured,
            epoch=epoch,
            step=step,
            stopped=stopped,
            seconds=self._seconds,
            history=self.history,
        )
