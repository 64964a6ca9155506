"""keras-tuner's loop over trials, with the oracle that a search asks for.

The one module of the search that touches what keras-tuner calls private: it writes its own file in place, so
that a kill can leave an empty one, reloads a project only after its first trial, and prints the traceback of
every trial that fails.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfopt.oracles.durable import DurableOracle, pruned_message, write_json

FailedTrialError = keras_tuner.errors.FailedTrialError


class StoppedTrialError(Exception):
    """A trial was stopped early.

    Args:
        epochs: after which.
        metrics: the objective at that moment, where the search has one that is known then.
    """

    def __init__(self, epochs: int, metrics: Mapping[str, float]) -> None:
        super().__init__(f"stopped after {epochs} epochs")
        self.epochs = epochs
        self.metrics = metrics


TrialFunction = Callable[[int, keras_tuner.HyperParameters], Mapping[str, float]]
"""Takes the number of the trial, counted from 1, and its hyperparameters, which it may add to; returns its
metrics. `FailedTrialError` says that the trial failed, `StoppedTrialError` that it was stopped early; any
other exception ends the search."""


class Tuner(BaseTuner):
    """Runs trials and keeps keras-tuner's books of them in `<directory>/tuner`.

    Args:
        function: runs one trial.
        oracle: proposes the trials.
        directory: the folder of the search. One that was interrupted there resumes.
        promoted: called before each trial; returns the numbers, from 1, of stopped trials that are to go on.
    """

    def __init__(
        self,
        function: TrialFunction,
        oracle: DurableOracle,
        directory: Path,
        promoted: Callable[[], Iterable[int]] = tuple,
    ) -> None:
        self.function = function
        self.promoted = promoted
        oracle.verbose = 0
        # It announces a reload on standard output.
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(oracle, directory=str(directory), project_name="tuner")

    def run_trial(self, trial: Trial, *_: Any, **__: Any) -> dict[str, float]:
        """Run one trial and return its metrics."""
        metrics = self.function(int(trial.trial_id) + 1, trial.hyperparameters)
        return {name: float(value) for name, value in metrics.items()}

    def _try_run_and_update_trial(self, trial: Trial, *_: Any, **__: Any) -> None:
        try:
            self.oracle.update_trial(trial.trial_id, self.run_trial(trial))
        except FailedTrialError as error:
            trial.status, trial.message = TrialStatus.FAILED, str(error)
        except StoppedTrialError as error:
            if error.metrics:
                self.oracle.update_trial(trial.trial_id, dict(error.metrics), step=error.epochs)
            trial.status, trial.message = TrialStatus.FAILED, pruned_message(str(error))
        else:
            trial.status = TrialStatus.COMPLETED

    def pre_create_trial(self) -> None:
        """Let stopped trials go on that now belong to the best, before a new one begins."""
        self.oracle.resume_pruned([number - 1 for number in self.promoted()])

    def on_search_begin(self) -> None:
        """Make the search one that can be reloaded before its first trial begins."""
        self.save()

    def save(self) -> None:
        """Write the state of the search, whole or not at all."""
        self.oracle.save()
        write_json(self._get_tuner_fname(), self.get_state())
