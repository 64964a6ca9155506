"""The progress of a run: a bar in a terminal, one line for each stage elsewhere."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from types import TracebackType
from typing import Any

import keras
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tfopt.run.stage_record import StageRecord


class Display:
    """The progress of one run on a console; a context manager.

    Args:
        stages: how many stages the run has.
        console: where to; `None` shows nothing.
    """

    def __init__(self, stages: int, console: Console | None) -> None:
        self._stages = stages
        self._silent = console is None
        self._console = console or Console(quiet=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Print a line."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def warn(self, text: str) -> None:
        """Print a warning; without a console, give it as Python's."""
        if self._silent:
            warnings.warn(text, UserWarning, stacklevel=2)
        else:
            self._console.print(f"[yellow]Warning:[/] {escape(text)}", highlight=False, soft_wrap=True)

    def begin(self, number: int, name: str) -> None:
        """Show that a stage begins."""
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(f"{number}/{self._stages} {name}", total=None, note="")

    def note(self, text: str) -> None:
        """Show what the stage does now."""
        if self._task is not None:
            self._progress.update(self._task, note=text)

    def end(self, stage: StageRecord) -> None:
        """Print what a stage has reached."""
        metrics = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in _known(stage.metrics))
        took = f"{stage.seconds:.0f} s" if stage.taken_from is None else f"taken from {stage.taken_from}"
        self.say(f"[green]✓[/] {stage.number}/{self._stages} {stage.title}: {metrics} ({took})")

    def callback(self) -> keras.callbacks.Callback:
        """Return the callback that moves the bar with the batches of one `fit`."""
        return _Bar(self._progress, self._task)


def _known(metrics: Mapping[str, float | None] | None) -> list[tuple[str, float]]:
    return [(name, value) for name, value in (metrics or {}).items() if value is not None]


class _Bar(keras.callbacks.Callback):
    async_safe = True  # it never reads the logs of a batch, so nothing has to wait for a device

    def __init__(self, progress: Progress, task: TaskID | None) -> None:
        super().__init__()
        self._progress = progress
        self._task = task
        self._epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self._epoch = epoch
        self._move(0)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002
        self._move(batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        shown = {name: (logs or {}).get(name) for name in ("loss", "accuracy", "val_accuracy")}
        metrics = " ".join(f"{name} {value:.3f}" for name, value in _known(shown))
        if self._task is not None:
            self._progress.update(self._task, note=f"epoch {epoch + 1}/{self.params['epochs']} {metrics}")

    def _move(self, batch: int) -> None:
        steps = self.params.get("steps") or 1
        if self._task is not None:
            done = self._epoch * steps + batch
            self._progress.update(self._task, completed=done, total=steps * self.params["epochs"])
