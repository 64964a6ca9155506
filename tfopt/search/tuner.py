"""keras-tuner, changed where a search must survive a kill and a failing trial.

The one module that touches what keras-tuner calls private. keras-tuner 1.4.8 writes its JSON files in
place, so that a kill can leave an empty one; it reloads a project only after its first trial; it draws the
values of successive trials from successive seeds; and it stops after three failed trials in a row.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner
from keras_tuner.engine.trial import Trial, TrialStatus

from tfopt.files import write_atomically

FailedTrialError = keras_tuner.errors.FailedTrialError

TrialFunction = Callable[[int, keras_tuner.HyperParameters], float]
"""Takes the number of the trial, counted from 1, and its hyperparameters, which it may add to; returns the
score, lower is better. `FailedTrialError` says that the trial failed; any other exception ends the search."""


class RandomOracle(keras_tuner.oracles.RandomSearchOracle):
    """Random search whose first trial is the recipe as it stands.

    The default trial also tells the space: recipes ask for most hyperparameters only while they run.

    Args:
        trials: how many trials in all.
        seed: of the random values.
    """

    start_order: list[str]
    end_order: list[str]

    def __init__(self, trials: int, seed: int) -> None:
        super().__init__(
            objective=keras_tuner.Objective("score", "min"),
            max_trials=trials,
            # Zero means "draw one" to keras-tuner.
            seed=seed + 1,
            # One failed trial must not end a search; what failed is told in the table.
            max_consecutive_failed_trials=trials + 1,
        )
        self.verbose = 0

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of a trial: none, which means the defaults, for the first one."""
        if not self.start_order:
            return {"status": TrialStatus.RUNNING, "values": {}}
        # Every trial has a seed of its own, far from its neighbours', and the same one after a restart.
        digest = hashlib.sha256(f"{self.seed} {int(trial_id)}".encode()).digest()
        self._seed_state = int.from_bytes(digest[:6], "big")
        return super().populate_space(trial_id)

    def save(self) -> None:
        """Write the state of the search, whole or not at all."""
        write_atomically(self._get_oracle_fname(), json.dumps(self.get_state()))

    def _save_trial(self, trial: Trial) -> None:
        write_atomically(
            os.path.join(self._get_trial_dir(trial.trial_id), "trial.json"), json.dumps(trial.get_state())
        )

    def reload(self) -> None:
        """Read the state of a search that was cut off; its unfinished trials are run next."""
        super().reload()
        finished = set(self.end_order)
        # A kill between two writes can leave a trial that is queued though it ended, or one that runs in
        # its own file alone.
        self._retry_queue = [
            trial_id
            for trial_id, trial in sorted(self.trials.items(), reverse=True)
            if trial_id not in finished or trial.status == TrialStatus.RUNNING
        ]
        self.end_order = [trial_id for trial_id in self.end_order if trial_id not in self._retry_queue]
        self.start_order = sorted(self.trials)


class Tuner(BaseTuner):
    """Runs trials and keeps keras-tuner's books of them in `<directory>/tuner`.

    Args:
        function: runs one trial.
        trials: how many in all, those that ran before a restart included.
        seed: of the random values.
        directory: the folder of the search. One that was interrupted there resumes.
    """

    def __init__(self, function: TrialFunction, *, trials: int, seed: int, directory: Path) -> None:
        self.function = function
        # It announces a reload on standard output.
        with contextlib.redirect_stdout(io.StringIO()):
            super().__init__(RandomOracle(trials, seed), directory=str(directory), project_name="tuner")

    def run_trial(self, trial: Trial, *_: Any, **__: Any) -> float:
        """Run one trial and return its score."""
        # A trial that is repeated after a kill has reported before; two reports would be averaged.
        trial.metrics = type(trial.metrics)()
        try:
            return self.function(int(trial.trial_id) + 1, trial.hyperparameters)
        except FailedTrialError:
            raise
        except Exception as error:
            raise keras_tuner.errors.FatalError(str(error)) from error

    def search(self) -> None:
        """Run what is left of the trials."""
        try:
            super().search()
        except keras_tuner.errors.FatalError as error:
            if error.__cause__ is None:
                raise
            raise error.__cause__ from None

    def on_search_begin(self) -> None:
        """Make the search one that can be reloaded before its first trial begins."""
        self.save()

    def save(self) -> None:
        """Write the state of the search, whole or not at all."""
        self.oracle.save()
        write_atomically(self._get_tuner_fname(), json.dumps(self.get_state()))
