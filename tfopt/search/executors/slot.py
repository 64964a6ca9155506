"""What runs trials, one at a time."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras_tuner

    from tfopt.pipeline import Run
    from tfopt.run.owners import Owner
    from tfopt.search.foresight import Foresight


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
    def foresee(
        self, hyperparameters: keras_tuner.HyperParameters, limited: Sequence[str]
    ) -> Foresight | None:
        """Return what is known of a trial before it runs; `None` where nobody can tell.

        Args:
            hyperparameters: of the trial, to which it adds those that it asks for.
            limited: the costs that matter.
        """

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
        run_trial, measure_latency, declare, foresee: do what the methods of these names should.
    """

    def __init__(
        self,
        run_trial: Callable[[keras_tuner.HyperParameters, Path], Run],
        measure_latency: Callable[[Path, Path], float],
        declare: Callable[[], keras_tuner.HyperParameters] | None = None,
        foresee: Callable[[keras_tuner.HyperParameters, Sequence[str]], Foresight] | None = None,
    ) -> None:
        self._run_trial, self._measure_latency = run_trial, measure_latency
        self._declare, self._foresee = declare, foresee

    def declare(self) -> keras_tuner.HyperParameters:
        """Return the hyperparameters that are known without running a trial."""
        import keras_tuner

        return self._declare() if self._declare else keras_tuner.HyperParameters()

    def foresee(
        self, hyperparameters: keras_tuner.HyperParameters, limited: Sequence[str]
    ) -> Foresight | None:
        """Return what is known of a trial before it runs."""
        return self._foresee(hyperparameters, limited) if self._foresee else None

    def run_trial(self, hyperparameters: keras_tuner.HyperParameters, runs: Path) -> Run:
        """Run a trial."""
        return self._run_trial(hyperparameters, runs)

    def measure_latency(self, first: Path, second: Path) -> float:
        """Return the latency of the second file as a ratio to the first one's."""
        return self._measure_latency(first, second)
