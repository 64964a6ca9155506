"""Grid search."""

from __future__ import annotations

import functools
from typing import Any

import keras_tuner
from keras_tuner.engine.trial import Trial

from tfopt.oracles.durable import DurableOracle


class GridOracle(DurableOracle, keras_tuner.oracles.GridSearchOracle):
    """keras-tuner's grid search: every combination of values in order, the defaults first.

    keras-tuner does not save where it stands in the grid, so that resuming raises KeyError. Here that is
    found again from the trials. A range without steps is tried at ten values.

    Args: see `OptunaOracle`. The seed changes nothing.
    """

    _ordered_ids: Any

    def first_values(self, trial_id: str) -> dict[str, Any]:
        """Return the defaults."""
        return self.propose(trial_id) or {}

    def on_reloaded(self) -> None:
        """Find again where the search stands in the grid."""
        self._ordered_ids = type(self._ordered_ids)()
        for trial in sorted(self.trials.values(), key=functools.cmp_to_key(self._order)):
            self._ordered_ids.insert(trial.trial_id)
        self._populate_next = list(self.trials)

    def _order(self, one: Trial, other: Trial) -> int:
        return self._compare(one.hyperparameters.values, other.hyperparameters.values)
