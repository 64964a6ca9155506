"""Optuna's samplers as an oracle of keras-tuner."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from keras_tuner.engine.trial import Trial, TrialStatus

from tfopt import _validation
from tfopt.errors import RunError
from tfopt.oracles.durable import DurableOracle, trial_number
from tfopt.oracles.objectives import Constraint
from tfopt.oracles.optuna_samplers import Samplers, sampler_factory
from tfopt.oracles.optuna_study import TrialStudy
from tfopt.oracles.parameters import parameters
from tfopt.oracles.rejection import was_pruned, was_rejected
from tfopt.oracles.seeds import derived_seed

logger = logging.getLogger(__name__)

_ATTEMPTS = 20
"""How often a sampler may propose what was tried before random values are taken."""


class OptunaOracle(DurableOracle):
    """A sampler of Optuna proposes the trials of keras-tuner.

    Works in any project of keras-tuner: with a `keras_tuner.Tuner`, a hypermodel, all kinds of
    hyperparameters, and conditional ones, for which recipes should use `hp.conditional_scope`, so that they
    are known before they are active.

    The study is in `optuna.journal` in the folder of the project, where `optuna-dashboard` and the functions
    of Optuna can read it. A trial of keras-tuner that completes is COMPLETE there, one that fails FAIL, one
    that raises `optuna.TrialPruned` PRUNED; one that keras-tuner will retry stays RUNNING.

    Args:
        objective: as keras-tuner's. A list is a true multi-objective search: the objectives are not added up,
            `front()` returns the trials that no other one dominates, and the score of a trial, as well as the
            best epoch of a training, is that of the first objective.
        max_trials: how many trials in all.
        sampler: `"tpe"`, `"nsga2"`, `"nsga3"`, `"gp"` (needs torch), `"cmaes"` (one objective, needs cmaes),
            a sampler of Optuna, or a function of a seed that returns one.
        constraints: of metrics that each trial reports. Samplers prefer feasible trials.
        population_size: of NSGA-II and NSGA-III; by default a fifth of `max_trials`, from 8 to 50.
        seed: of all random values, at least 0; drawn when it is `None`. It is saved with the search.
        start_with_defaults: whether the first trial is the defaults of the hyperparameters.
        **kwargs: of `keras_tuner.Oracle`.

    Raises:
        InvalidArgumentError: an argument is not one of those, or a sampler cannot do what is asked.

    Example:
        >>> oracle = tfopt.oracles.OptunaOracle(
        ...     [keras_tuner.Objective("val_accuracy", "max"), keras_tuner.Objective("bytes", "min")],
        ...     max_trials=60,
        ...     sampler="nsga2",
        ...     constraints=[tfopt.oracles.Constraint("bytes", at_most=100_000)],
        ... )
    """

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        sampler: Any = "tpe",
        constraints: Iterable[Constraint] = (),
        population_size: int | None = None,
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
        self._study: TrialStudy | None = None
        self._samplers = Samplers(
            sampler_factory(
                sampler,
                objectives=len(self.objectives),
                max_trials=max_trials,
                population_size=population_size,
            )
        )

    @property
    def study(self) -> Any:
        """The `optuna.Study` of the project, for Optuna's own functions."""
        return self._open_study().study

    def importances(self, objective: str | None = None) -> dict[str, float]:
        """Return how much of an objective each hyperparameter explains: fractions, the largest first.

        PED-ANOVA (Watanabe et al., 2023) over the trials that completed.

        Args:
            objective: its name; the first by default.

        Raises:
            InvalidArgumentError: there is no such objective.
            RunError: too few trials completed.
        """
        names = [each.name for each in self.objectives]
        name = names[0] if objective is None else objective
        _validation.choice("importances", "objective", name, names)
        if len({self.values_of(trial)[names.index(name)] for trial in self.completed()}) < 2:
            raise RunError(f"Importances need at least two completed trials with different {name}.")
        return self._open_study().importances(names.index(name))

    def learn(
        self, trials: Mapping[str, tuple[Mapping[str, Any], Mapping[str, float]]], space: Iterable[Any]
    ) -> None:
        """Let the sampler know trials that were run elsewhere, before the first trial of this project.

        They are in the study and count nowhere else. In a project that has trials, nothing happens: it
        learned, or did not, when it began.

        Args:
            trials: a name of each -> the values of its active hyperparameters, and its metrics: those of
                the objectives and of the constraints.
            space: the hyperparameters, which need not have been asked for by a trial yet.
        """
        self._load_once()
        if self.trials:
            return
        known = parameters(space)
        with self._writing() as study:
            study.sample_with(self._samplers.seeded(derived_seed(self.seed, "earlier")))
            for key, (values, metrics) in trials.items():
                study.learn(
                    key,
                    dict(values),
                    known,
                    values_of_objectives=[metrics[each.name] for each in self.objectives],
                    constraints=self._limits(metrics),
                )

    def propose(self, trial_id: str) -> dict[str, Any] | None:
        """Return the values that the sampler proposes."""
        number = trial_number(trial_id)
        space = self.hyperparameters.space
        known = parameters(space)
        with self._writing() as study:
            if study.is_open(number):  # a kill came before keras-tuner took note of it
                return study.values(number)
            for attempt in range(_ATTEMPTS):
                study.sample_with(self._samplers.seeded(derived_seed(self.seed, number, attempt)))
                values = study.ask(number, space, known)
                if not self.was_tried(values):
                    return values
                study.give_up(number)
            logger.debug("trial %s: the sampler proposes only what was tried; random values", trial_id)
            untried = self.untried_values()
            if untried is not None:
                study.enter(number, untried, known)
            return untried

    def first_values(self, trial_id: str) -> dict[str, Any]:
        """Return the defaults, and enter them in the study."""
        values = super().first_values(trial_id)
        with self._writing() as study:
            if not study.is_open(trial_number(trial_id)):
                self._enter(study, trial_number(trial_id), values)
        return values

    def on_trial_started(self, trial: Trial) -> None:
        """Enter a trial that failed and runs again as a new one of the study."""
        number = trial_number(trial.trial_id)
        with self._writing() as study:
            if not study.is_open(number):
                self._enter(study, number, trial.hyperparameters.values)

    def on_trial_ended(self, trial: Trial) -> None:
        """Tell the study how a trial ended."""
        with self._writing() as study:
            self._tell(study, trial)

    def on_new_project(self) -> None:
        """Forget the study of another project."""
        self._study = None
        self._samplers.forget()

    def on_reloaded(self) -> None:
        """Bring the study in line with the trials, where a kill came between the two."""
        with self._writing() as study:
            study.refresh()
            for trial in self.trials.values():
                number = trial_number(trial.trial_id)
                if trial.status not in (TrialStatus.COMPLETED, TrialStatus.FAILED):
                    continue
                if not study.knows(number):  # of another oracle in the same project
                    self._enter(study, number, trial.hyperparameters.values)
                if study.is_open(number):
                    self._tell(study, trial)

    def _enter(self, study: TrialStudy, number: int, values: dict[str, Any]) -> None:
        study.sample_with(self._samplers.seeded(derived_seed(self.seed, number, 0)))
        study.enter(number, values, parameters(self.hyperparameters.space))

    def _tell(self, study: TrialStudy, trial: Trial) -> None:
        values: Sequence[float] | None = None
        limits: dict[str, float] = {}
        if trial.status == TrialStatus.COMPLETED:
            values = self.values_of(trial)
        if values is not None or was_rejected(trial):
            limits = self._limits(self.metrics_of(trial))
        pruned = was_pruned(trial)
        study.sample_with(self._samplers.seeded(derived_seed(self.seed, trial.trial_id, "end")))
        study.tell(
            trial_number(trial.trial_id),
            trial.hyperparameters.values,
            parameters(self.hyperparameters.space),
            values_of_objectives=values,
            constraints=limits,
            pruned=pruned,
            reported=self._reported(trial) if pruned and len(self.objectives) == 1 else {},
        )

    def _limits(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Return the constraints that are known as Optuna has them: 0 or less where they are kept."""
        return {
            f"{number} {each.metric}": each.violation(metrics)
            for number, each in enumerate(self.constraints)
            if each.metric in metrics
        }

    def _reported(self, trial: Trial) -> dict[int, float]:
        """Return step -> value of the objective that a trial reported before it was pruned."""
        name = self.objectives[0].name
        if not trial.metrics.exists(name):
            return {}
        return {each.step: float(each.mean()) for each in trial.metrics.get_history(name)}

    @contextlib.contextmanager
    def _writing(self) -> Iterator[TrialStudy]:
        try:
            with self._open_study().writing() as study:
                yield study
        except BaseException:
            self.on_new_project()  # what is in memory is not in the file
            raise

    def _open_study(self) -> TrialStudy:
        if self._study is None:
            self._study = TrialStudy.open(
                self.project_folder,
                [each.direction for each in self.objectives],
                [each.name for each in self.objectives],
            )
        return self._study
