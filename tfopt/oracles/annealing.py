"""Simulated annealing with restarts."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from keras_tuner.engine.trial import Trial, TrialStatus

from tfopt import _validation
from tfopt.errors import InvalidArgumentError
from tfopt.oracles.durable import DurableOracle, trial_number
from tfopt.oracles.neighbourhood import neighbour
from tfopt.oracles.objectives import Constraint
from tfopt.oracles.parameters import parameters
from tfopt.oracles.seeds import derived_seed

_COLDEST = 1e-2
"""The temperature at the end of a chain as a fraction of the first one."""

_REACH = 0.15
"""The standard deviation of a step to a neighbour as a fraction of the range of a hyperparameter."""

_ATTEMPTS = 20


@dataclass(frozen=True)
class Chain:
    """Where annealing stands.

    Attributes:
        current: the id of the trial whose neighbour is tried next; `None` before there is one, and where a
            restart begins at random.
        heat: the temperature as a fraction of the first one.
    """

    current: str | None
    heat: float


class AnnealingOracle(DurableOracle):
    """Simulated annealing (Kirkpatrick, Gelatt and Vecchi, 1983): a walk that gets pickier as it cools.

    Each trial is a neighbour of the current one (see `tfopt.oracles.neighbourhood`). A better one becomes the
    current one, a worse one with probability exp(-difference / temperature). The first trials are random;
    half of the median difference between two of them would be accepted at the first temperature, which then
    falls geometrically to a hundredth in `chain_length` trials. Then the walk starts again, hot.

    The walk is found again from the trials in the order in which they ended, so nothing of it can get lost.

    Args:
        objective: one objective, or several with `weights`.
        max_trials: how many trials in all.
        weights: name of an objective -> weight, at least 0. The weighted sum of the objectives is improved.
        chain_length: trials from one restart to the next, at least 2.
        random_trials: how many random trials come first, at least 2.
        restart_from: `"best"`, the best trial so far, or `"random"`.
        constraints, seed, start_with_defaults, **kwargs: see `OptunaOracle`. Of two trials of which one is
            feasible that one is better, of two infeasible ones that which misses less.

    Raises:
        InvalidArgumentError: an argument is outside its range, or several objectives have no weights.
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        weights: Mapping[str, float] | None = None,
        chain_length: int = 30,
        random_trials: int = 5,
        restart_from: str = "best",
        constraints: Iterable[Constraint] = (),
        seed: int | None = None,
        start_with_defaults: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            objective,
            max_trials,
            constraints=constraints,
            seed=seed,
            start_with_defaults=start_with_defaults,
            **kwargs,
        )
        owner = type(self).__name__
        self.chain_length = _validation.whole(owner, "chain_length", chain_length, at_least=2)
        self.random_trials = _validation.whole(owner, "random_trials", random_trials, at_least=2)
        self.restart_from = _validation.choice(owner, "restart_from", restart_from, ("best", "random"))
        self.weights = _weights(owner, weights, [each.name for each in self.objectives])

    def propose(self, trial_id: str) -> dict[str, Any] | None:
        """Return a neighbour of the current trial that was not tried."""
        chain = self.chain()
        if chain.current is None:
            return self.untried_values()
        generator = random.Random(derived_seed(self.seed, trial_number(trial_id)))
        space = self.hyperparameters.space
        known = parameters(space)
        values = self.trials[chain.current].hyperparameters.values
        for attempt in range(_ATTEMPTS):
            # Where all close neighbours were tried, farther ones are looked at.
            found = neighbour(values, space, known, generator, reach=_REACH * (1 + attempt / 4))
            if not self.was_tried(found):
                return found
        return self.untried_values()

    def chain(self) -> Chain:
        """Return where the walk stands after the trials that ended."""
        ended = [self.trials[name] for name in self.end_order]
        completed = [trial for trial in ended if trial.status == TrialStatus.COMPLETED]
        first, walked = completed[: self.random_trials], completed[self.random_trials :]
        if len(first) < self.random_trials:
            return Chain(None, 1.0)
        hottest = _first_temperature([self._cost(trial) for trial in first])
        hottest_violation = _first_temperature([self.violation(trial) for trial in first])
        best: Trial = min(first, key=self._energy)
        current: Trial | None = best
        step = 0
        for trial in walked:
            heat = self._heat(step)
            if current is None or self._accepts(current, trial, hottest * heat, hottest_violation * heat):
                current = trial
            best = min(best, trial, key=self._energy)
            step += 1
            if step == self.chain_length:
                step = 0
                current = best if self.restart_from == "best" else None
        return Chain(None if current is None else current.trial_id, self._heat(step))

    def get_state(self) -> dict[str, Any]:
        """Return the state, with where the walk stands for those who look into the file."""
        chain = self.chain()
        return {**super().get_state(), "chain": {"current": chain.current, "heat": chain.heat}}

    def _heat(self, step: int) -> float:
        return float(_COLDEST ** (step / (self.chain_length - 1)))

    def _accepts(self, current: Trial, trial: Trial, temperature: float, for_violation: float) -> bool:
        misses, before = self.violation(trial), self.violation(current)
        if misses or before:
            worse, temperature = misses - before, for_violation
            if not misses or not before:
                return not misses
        else:
            worse = self._cost(trial) - self._cost(current)
        if worse <= 0:
            return True
        draw = random.Random(derived_seed(self.seed, trial_number(trial.trial_id), "accept")).random()
        return temperature > 0 and draw < math.exp(-worse / temperature)

    def _cost(self, trial: Trial) -> float:
        metrics = self.metrics_of(trial)
        signs = {each.name: 1 if each.direction == "min" else -1 for each in self.objectives}
        return sum(weight * signs[name] * metrics[name] for name, weight in self.weights.items())

    def _energy(self, trial: Trial) -> tuple[float, float]:
        return self.violation(trial), self._cost(trial)


def _first_temperature(costs: list[float]) -> float:
    """Return the temperature at which the median difference of costs is accepted every second time."""
    differences = [abs(a - b) for i, a in enumerate(costs) for b in costs[:i]]
    return statistics.median(differences) / math.log(2)


def _weights(owner: str, weights: Mapping[str, float] | None, names: list[str]) -> dict[str, float]:
    given = _validation.mapping(owner, "weights", weights, '{"val_accuracy": 1, "bytes": 1e-6}')
    if not given and len(names) > 1:
        raise InvalidArgumentError(
            f"{owner} improves one number, got the objectives {', '.join(names)}. Give weights, such as "
            f"weights={{{names[0]!r}: 1.0, {names[1]!r}: 0.1}}, or use OptunaOracle, which takes several."
        )
    if given and {*given} != {*names}:
        raise InvalidArgumentError(
            f"{owner}: expected weights for {', '.join(names)}, got some for {', '.join(given)}."
        )
    for name, weight in given.items():
        _validation.number(owner, f"weights[{name!r}]", weight, at_least=0)
    return {name: float(weight) for name, weight in given.items()} or {names[0]: 1.0}
