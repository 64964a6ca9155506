"""What runs trials, one at a time."""

from __future__ import annotations

import abc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras_tuner

    from tfopt.pipeline import Run
    from tfopt.search.owners import Owner


class Slot(abc.ABC):
    """A place for one trial at a time."""

    def start(self, owner: Owner) -> None:  # noqa: B027  (most need nothing)
        """Begin to work for an owner of trials, whose lock a process of this slot is to inherit."""

    def stop(self) -> None:  # noqa: B027  (most need nothing)
        """End what runs, from whatever thread, for good; who waits for it gets an error."""

    @abc.abstractmethod
    def declare(self) -> keras_tuner.HyperParameters:
        """Return the hyperparameters that are known without running a trial."""

    @abc.abstractmethod
    def run_trial(self, hyperparameters: keras_tuner.HyperParameters, runs: Path) -> Run:
        """Run a trial.

        Args:
            hyperparameters: of the trial, to which it adds those that it asks for.
            runs: the folder of runs.
        """

    @abc.abstractmethod
    def measure_latency(self, first: Path, second: Path) -> float:
        """Return the latency of the second file as a ratio to the first one's."""


class InProcess(Slot):
    """Runs trials in this process.

    Args:
        run_trial, measure_latency, declare: do what the methods of these names should.
    """

    def __init__(
        self,
        run_trial: Callable[[keras_tuner.HyperParameters, Path], Run],
        measure_latency: Callable[[Path, Path], float],
        declare: Callable[[], keras_tuner.HyperParameters] | None = None,
    ) -> None:
        self._run_trial, self._measure_latency, self._declare = run_trial, measure_latency, declare

    def declare(self) -> keras_tuner.HyperParameters:
        """Return the hyperparameters that are known without running a trial."""
        import keras_tuner

        return self._declare() if self._declare else keras_tuner.HyperParameters()

    def run_trial(self, hyperparameters: keras_tuner.HyperParameters, runs: Path) -> Run:
        """Run a trial."""
        return self._run_trial(hyperparameters, runs)

    def measure_latency(self, first: Path, second: Path) -> float:
        """Return the latency of the second file as a ratio to the first one's."""
        return self._measure_latency(first, second)
