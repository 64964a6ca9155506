"""Optuna's samplers by name, made anew for every trial from the seed of the trial."""

from __future__ import annotations

import copy
import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.samplers._lazy_random_state import LazyRandomState
from optuna.samplers.nsgaii import PolynomialMutation, SBXCrossover

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.oracles.seeds import derived_seed

SAMPLERS = ("tpe", "nsga2", "nsga3", "gp", "cmaes")
"""The names of samplers: tree-structured Parzen estimator (Bergstra et al., 2011), NSGA-II (Deb et al.,
2002), NSGA-III (Deb and Jain, 2014), Gaussian process, CMA-ES (Hansen, 2016)."""

MakeSampler = Callable[[int], BaseSampler]
"""Returns a sampler for a seed."""

_NEEDS = {"gp": ("torch", "pip install torch"), "cmaes": ("cmaes", "pip install cmaes")}


def sampler_factory(
    sampler: Any, *, objectives: int, max_trials: int | None, population_size: int | None
) -> MakeSampler:
    """Return what makes the sampler of a trial.

    Args:
        sampler: one of `SAMPLERS`, a function of a seed, or a sampler of Optuna, of which each trial uses a
            copy with a seed of its own.
        objectives: how many there are.
        max_trials: of the search.
        population_size: of the genetic algorithms.

    Raises:
        InvalidArgumentError: there is no such sampler, it cannot do this, or it needs a package.
    """
    if isinstance(sampler, str):
        _validation.choice("OptunaOracle", "sampler", sampler, SAMPLERS)
    if population_size is not None:
        _validation.whole("OptunaOracle", "population_size", population_size, at_least=2)
        if sampler not in ("nsga2", "nsga3"):
            raise InvalidArgumentError(
                f"OptunaOracle: population_size is for 'nsga2' and 'nsga3', got sampler={sampler!r}."
            )
    if sampler in _NEEDS and importlib.util.find_spec(_NEEDS[sampler][0]) is None:
        package, command = _NEEDS[sampler]
        raise InvalidArgumentError(f"The sampler {sampler!r} needs the package {package}: {command}.")
    if (sampler == "cmaes" or isinstance(sampler, optuna.samplers.CmaEsSampler)) and objectives > 1:
        raise InvalidArgumentError(
            f"CMA-ES improves one objective, got {objectives}. For several use 'tpe', 'nsga2' or 'nsga3'."
        )
    if isinstance(sampler, BaseSampler):
        return lambda _: copy.deepcopy(sampler)
    if callable(sampler):
        return sampler
    if not isinstance(sampler, str):
        raise InvalidArgumentError(
            f"OptunaOracle: expected sampler to be one of {', '.join(map(repr, SAMPLERS))}, a sampler of "
            f"Optuna or a function of a seed that returns one, got {sampler!r}."
        )
    startup = 10 if max_trials is None else min(max(max_trials // 5, 4), 10)
    size = population_size or _population(max_trials)

    def make(seed: int) -> BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if sampler == "tpe":
                # Hyperparameters that are active together are modelled together (Falkner et al., 2018, BOHB).
                return optuna.samplers.TPESampler(
                    seed=seed, n_startup_trials=startup, multivariate=True, group=True
                )
            if sampler == "gp":
                return optuna.samplers.GPSampler(seed=seed, n_startup_trials=startup)
            if sampler == "cmaes":
                return optuna.samplers.CmaEsSampler(
                    seed=seed, n_startup_trials=1, warn_independent_sampling=False
                )
            # The operators and indices of the authors of NSGA-II for real-coded variables.
            kind = {"nsga2": optuna.samplers.NSGAIISampler, "nsga3": optuna.samplers.NSGAIIISampler}[sampler]
            return kind(
                seed=seed,
                population_size=size,
                crossover=SBXCrossover(eta=15.0),
                mutation=PolynomialMutation(eta=20.0),
            )

    return make


def samples_inactive(sampler: BaseSampler) -> bool:
    """Return whether a sampler does better when trials have values for inactive hyperparameters, too.

    TPE models each set of active ones. The others work on the hyperparameters that all trials have and draw
    the rest at random, so a conditional one is carried along as a gene that is silent while inactive.
    """
    return not isinstance(sampler, optuna.samplers.TPESampler)


def _population(max_trials: int | None) -> int:
    """Return a size that leaves a search several generations: 8 for 30 trials, 50 for 500 and more."""
    return 50 if max_trials is None else min(max(max_trials // 5, 8), 50)


def reseed(sampler: BaseSampler, seed: int) -> None:
    """Give the random generators of a sampler, and those of its parts, a new seed."""
    left, seen, number = [sampler], set[int](), 0
    while left:
        part = left.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, LazyRandomState):
            part.rng.seed(derived_seed(seed, number))
            number += 1
        elif type(part).__module__.startswith("optuna."):
            left += vars(part).values() if hasattr(part, "__dict__") else ()


class Samplers:
    """The sampler of each trial: what it draws depends on the trials so far and on a seed alone.

    Args:
        make: see `sampler_factory`.
    """

    def __init__(self, make: MakeSampler) -> None:
        self._make = make
        self._kept: BaseSampler | None = None

    def seeded(self, seed: int) -> BaseSampler:
        """Return a sampler with this seed.

        The genetic algorithms keep but what they found out about the space, which a new one would read from
        all trials again; others, such as a fitted Gaussian process or the order of TPE's groups, depend on
        what they did before.
        """
        if self._kept is not None:
            reseed(self._kept, seed)
            return self._kept
        made = self._make(seed)
        reseed(made, seed)
        if type(made) in _KEEP_NOTHING:
            self._kept = made
        return made

    def forget(self) -> None:
        """Forget what was found out about the space of a study."""
        self._kept = None


_KEEP_NOTHING = (optuna.samplers.NSGAIISampler, optuna.samplers.NSGAIIISampler)
