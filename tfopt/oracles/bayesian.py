"""keras-tuner's Bayesian optimization."""

from __future__ import annotations

from typing import Any

import keras_tuner
import numpy as np

from tfopt.errors import InvalidArgumentError
from tfopt.oracles.durable import DurableOracle, trial_number
from tfopt.oracles.seeds import derived_seed


class BayesianOracle(DurableOracle, keras_tuner.oracles.BayesianOptimizationOracle):
    """keras-tuner's Gaussian process for one objective.

    Infeasible trials count as worse than the worst feasible one. Values that were tried are not tried again.

    Args: see `OptunaOracle`, and `num_initial_points`, `alpha` and `beta` as keras-tuner's.

    Raises:
        InvalidArgumentError: there are several objectives.
    """

    def __init__(self, objective: Any = None, max_trials: int = 10, **kwargs: Any) -> None:
        super().__init__(objective, max_trials, **kwargs)
        if len(self.objectives) > 1:
            raise InvalidArgumentError(
                f"BayesianOracle improves one objective, got {len(self.objectives)}. Use OptunaOracle, which "
                "takes several."
            )

    def propose(self, trial_id: str) -> dict[str, Any] | None:
        """Return the values where the bound on the objective is best; random ones where they were tried."""
        self._random_state = np.random.RandomState(derived_seed(self.seed, trial_number(trial_id), "bounds"))
        self.gpr.random_state = derived_seed(self.seed, trial_number(trial_id), "gpr")
        values = super().propose(trial_id)
        return self.untried_values() if values is None or self.was_tried(values) else values

    def _vectorize_trials(self) -> tuple[np.ndarray, np.ndarray]:
        x, y = super()._vectorize_trials()
        trials = [trial for trial in self.trials.values() if trial.status not in ("FAILED", "INVALID")]
        wrong = np.array([self.violation(t) if t.status == "COMPLETED" else 0.0 for t in trials])
        if wrong.any():
            kept = y[wrong == 0] if (wrong == 0).any() else y
            spread = float(np.ptp(kept)) or 1.0
            y = np.where(wrong > 0, kept.max() + spread * (1 + wrong / wrong.max()), y)
        return x, y
