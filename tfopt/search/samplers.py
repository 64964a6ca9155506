"""What proposes the trials of a search, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.search.goals.goal import Goal

if TYPE_CHECKING:
    from tfopt.oracles.durable import DurableOracle

SAMPLERS = ("tpe", "nsga2", "nsga3", "gp", "cmaes", "annealing", "random", "grid", "bayesian")
"""The samplers of Optuna, simulated annealing, and those of keras-tuner."""

DEFAULT = "tpe"

ONE_GOAL = ("cmaes", "annealing", "bayesian")
"""Samplers that improve one metric."""

FAILURES_IN_A_ROW = 10
"""So many trials that fail one after another end a search."""


def check_sampler(sampler: str, goal: Goal) -> None:
    """Raise where a sampler cannot be asked for, before anything is run.

    Raises:
        InvalidArgumentError: there is none of this name, or it improves one metric and the goal has several.
    """
    _validation.choice("search", "sampler", sampler, SAMPLERS)
    if sampler in ONE_GOAL and len(goal.metrics) > 1:
        others = ", ".join(name for name in SAMPLERS if name not in ONE_GOAL)
        raise InvalidArgumentError(
            f"The sampler {sampler} improves one metric, got {', '.join(goal.metrics)}. Use one of {others}."
        )


def make_oracle(sampler: str, goal: Goal, *, trials: int | None, seed: int) -> DurableOracle:
    """Return the oracle of a search, which begins with the recipe as it stands.

    The first trial also tells the space: recipes ask for most hyperparameters only while they run.

    Raises:
        InvalidArgumentError: the sampler needs a package that is not installed.
    """
    import keras_tuner

    from tfopt import oracles

    about: dict[str, Any] = {
        "objective": [keras_tuner.Objective(name, way) for name, way in goal.directions.items()],
        "max_trials": trials,
        "seed": seed,
        "constraints": [oracles.Constraint(name, at_most=0.0) for name in goal.constraints],
        "max_consecutive_failed_trials": FAILURES_IN_A_ROW,
    }
    kinds: dict[str, Any] = {
        "annealing": oracles.AnnealingOracle,
        "random": oracles.RandomOracle,
        "grid": oracles.GridOracle,
        "bayesian": oracles.BayesianOracle,
    }
    if sampler in kinds:
        made: DurableOracle = kinds[sampler](**about)
        return made
    return oracles.OptunaOracle(sampler=sampler, **about)
