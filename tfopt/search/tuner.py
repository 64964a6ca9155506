"""keras-tuner's loop over trials, with the oracle that a search asks for.

The one module of the search that touches what keras-tuner calls private: it writes its own file in place, so
that a kill can leave an empty one, reloads a project only after its first trial, and prints the traceback of
every trial that fails.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfopt.oracles.durable import DurableOracle, write_json
from tfopt.search.foresight import RejectedTrialError

FailedTrialError = keras_tuner.errors.FailedTrialError

TrialFunction = Callable[[int, keras_tuner.HyperParameters], Mapping[str, float]]
"""Takes the number of the trial, counted from 1, and its hyperparameters, which it may add to; returns its
metrics. `FailedTrialError` says that the trial failed, `RejectedTrialError` that it was not run; any other
exception ends the search."""


class _Ended(Exception):
    """The search ends before its trials do."""


class Tuner(BaseTuner):
    """Runs trials and keeps keras-tuner's books of them in `<directory>/tuner`.

    Args:
        function: runs one trial.
        oracle: proposes the trials.
        directory: the folder of the search. One that was interrupted there resumes.
        ends: asked before each trial; an answer other than `None` ends the search.
    """

    def __init__(
        self,
        function: TrialFunction,
        oracle: DurableOracle,
        directory: Path,
        ends: Callable[[], object] = lambda: None,
    ) -> None:
        self.function = function
        self.ends = ends
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
        except RejectedTrialError as error:
            self.oracle.reject(trial, error.rejection.violations, str(error))
        except FailedTrialError as error:
            trial.status, trial.message = TrialStatus.FAILED, str(error)
        else:
            trial.status = TrialStatus.COMPLETED

    def search(self) -> None:
        """Run trials until there are enough, none is left to try, or something else ends the search."""
        with contextlib.suppress(_Ended):
            super().search()

    def pre_create_trial(self) -> None:
        """End the search where it is to."""
        if self.ends() is not None:
            raise _Ended

    def on_search_begin(self) -> None:
        """Make the search one that can be reloaded before its first trial begins."""
        self.save()

    def save(self) -> None:
        """Write the state of the search, whole or not at all."""
        self.oracle.save()
        write_json(self._get_tuner_fname(), self.get_state())
