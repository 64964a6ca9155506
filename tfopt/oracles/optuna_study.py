"""Optuna's study of a project of keras-tuner: which of its trials is which, and how they begin and end."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState

from tfopt.errors import InvalidArgumentError
from tfopt.oracles.optuna_distributions import distribution, from_optuna, to_optuna
from tfopt.oracles.optuna_journal import AtomicJournal
from tfopt.oracles.optuna_samplers import samples_inactive
from tfopt.oracles.parameters import Parameter, active_values, chosen_values
from tfopt.report.importances import explained

FILE = "optuna.journal"
NAME = "search"

_DIRECTIONS = {"min": StudyDirection.MINIMIZE, "max": StudyDirection.MAXIMIZE}

_TRIAL_ID, _VALUES, _EARLIER = "trial_id", "values", "earlier"


class TrialStudy:
    """A study whose trials are those of keras-tuner, by their numbers.

    Args:
        study: of Optuna.
        storage, journal: where it is kept.
    """

    def __init__(self, study: optuna.Study, storage: JournalStorage, journal: AtomicJournal) -> None:
        self.study = study
        self._storage = storage
        self._journal = journal
        self._numbers: dict[int, int] = {}
        self.refresh()

    @classmethod
    def open(cls, folder: Path, directions: Sequence[str], names: Sequence[str]) -> TrialStudy:
        """Return the study in a folder, a new one where there is none.

        Raises:
            InvalidArgumentError: the one that is there is for other objectives.
        """
        journal = AtomicJournal(folder / FILE)
        with _quiet():
            storage = JournalStorage(journal)
            study = optuna.create_study(
                storage=storage,
                study_name=NAME,
                directions=[_DIRECTIONS[each] for each in directions],
                load_if_exists=True,
            )
            if study.metric_names is None:
                study.set_metric_names(list(names))
        found = [each.name.lower()[:3] for each in study.directions]
        if found != list(directions) or study.metric_names != list(names):
            told = ", ".join(f"{d} {n}" for d, n in zip(found, study.metric_names or [], strict=False))
            wanted = ", ".join(f"{d} {n}" for d, n in zip(directions, names, strict=True))
            raise InvalidArgumentError(
                f"The search in {folder} is for {told}, not for {wanted}. Choose another folder or delete it."
            )
        return cls(study, storage, journal)

    @contextlib.contextmanager
    def writing(self) -> Iterator[TrialStudy]:
        """Write what happens inside to the journal at once; where the block raises, open the study anew."""
        with self._journal.batch(lambda: self._storage.get_study_id_from_name(NAME)):
            yield self

    def refresh(self) -> None:
        """Take note of the trials that other processes began."""
        # Of several with the same id, the last: the others were given up or ran before a retry.
        for trial in self.study.get_trials(deepcopy=False):
            if _TRIAL_ID in trial.user_attrs:
                self._numbers[trial.user_attrs[_TRIAL_ID]] = trial.number

    def sample_with(self, sampler: optuna.samplers.BaseSampler) -> None:
        """Take a sampler for the trials that begin next."""
        self.study.sampler = sampler

    def knows(self, trial_id: int) -> bool:
        """Return whether the study has a trial of this id."""
        return trial_id in self._numbers

    def is_open(self, trial_id: int) -> bool:
        """Return whether the study has a trial of this id that did not end."""
        return self.knows(trial_id) and not self._frozen(trial_id).state.is_finished()

    def ask(self, trial_id: int, space: Iterable[Any], known: Sequence[Parameter]) -> dict[str, Any]:
        """Begin a trial and return the values that the sampler proposes for the active hyperparameters."""
        trial = self._begin(trial_id)
        chosen: dict[str, Any] = {}
        space = list(space)
        for parameter in known:
            if samples_inactive(self.study.sampler) or _is_active(parameter, space, chosen, known):
                chosen[parameter.name] = from_optuna(parameter, _suggest(trial, parameter))
        values = active_values(space, chosen, known)
        trial.set_user_attr(_VALUES, values)
        return values

    def enter(self, trial_id: int, values: dict[str, Any], known: Sequence[Parameter]) -> None:
        """Begin a trial whose values are given."""
        trial = self._begin(trial_id)
        # Of this, samplers take note of the trial, such as of its generation.
        _ = trial.relative_params
        self._complete_values(trial_id, values, known)

    def learn(
        self,
        key: str,
        values: dict[str, Any],
        known: Sequence[Parameter],
        *,
        values_of_objectives: Sequence[float],
        constraints: dict[str, float],
    ) -> None:
        """Add a trial that another search ran, once.

        Args:
            key: which one.
            values: name of each active hyperparameter -> value.
            known: the parameters of the space.
            values_of_objectives, constraints: see `tell`.
        """
        if any(trial.user_attrs.get(_EARLIER) == key for trial in self.study.get_trials(deepcopy=False)):
            return
        made = {parameter.name: distribution(parameter) for parameter in known}
        params = self._stored(values, known)
        with _quiet():
            self.study.add_trial(
                optuna.trial.create_trial(
                    values=list(values_of_objectives),
                    params=params,
                    distributions={name: made[name] for name in params},
                    constraints=constraints or None,
                    user_attrs={_EARLIER: key, _VALUES: values},
                )
            )

    def give_up(self, trial_id: int) -> None:
        """End a trial that will not be run."""
        with _quiet():
            self.study.tell(self._numbers[trial_id], state=TrialState.FAIL)

    def values(self, trial_id: int) -> dict[str, Any]:
        """Return the values that a trial began with."""
        return dict(self._frozen(trial_id).user_attrs[_VALUES])

    def tell(
        self,
        trial_id: int,
        values: dict[str, Any],
        known: Sequence[Parameter],
        *,
        values_of_objectives: Sequence[float] | None = None,
        constraints: dict[str, float],
        pruned: bool,
        reported: Mapping[int, float] | None = None,
    ) -> None:
        """End a trial.

        Args:
            trial_id: its number.
            values: hyperparameter -> value, those included that it asked for while it ran.
            known: the parameters of the space.
            values_of_objectives: `None` for a trial that failed.
            constraints: name -> violation, 0 or less where it is kept.
            pruned: whether it was stopped early.
            reported: step -> value of the one objective meanwhile: what samplers learn of a pruned trial.
        """
        self._complete_values(trial_id, values, known)
        number = self._numbers[trial_id]
        if constraints:
            trial = optuna.trial.Trial(self.study, self._id(trial_id))
            for name, violation in constraints.items():
                trial.set_constraint(name, violation)
        for step, value in (reported or {}).items():
            self._storage.set_trial_intermediate_value(self._id(trial_id), step, value)
        state = TrialState.PRUNED if pruned else TrialState.FAIL
        state = state if values_of_objectives is None else TrialState.COMPLETE
        with _quiet():
            self.study.tell(number, values_of_objectives, state=state)

    def importances(self, objective: int) -> dict[str, float]:
        """Return parameter -> fraction of an objective that it explains, the largest first."""
        with _quiet():
            return explained(self.study, objective)

    def _begin(self, trial_id: int) -> optuna.Trial:
        with _quiet():
            trial = self.study.ask()
        trial.set_user_attr(_TRIAL_ID, trial_id)
        self._numbers[trial_id] = trial.number
        return trial

    def _complete_values(self, trial_id: int, values: dict[str, Any], known: Sequence[Parameter]) -> None:
        """Enter the values that the study does not have yet."""
        has = self._frozen(trial_id).params
        stored = self._stored(values, known)
        for parameter in known:
            if parameter.name in has or parameter.name not in stored:
                continue
            made = distribution(parameter)
            self._storage.set_trial_param(
                self._id(trial_id), parameter.name, made.to_internal_repr(stored[parameter.name]), made
            )
        self._storage.set_trial_user_attr(self._id(trial_id), _VALUES, values)

    def _stored(self, values: dict[str, Any], known: Sequence[Parameter]) -> dict[str, Any]:
        """Return name of a parameter -> what Optuna stores of it, of those that the sampler looks at."""
        chosen = chosen_values(values, known)
        return {
            parameter.name: to_optuna(parameter, chosen.get(parameter.name, parameter.hp.default))
            for parameter in known
            if parameter.name in chosen or samples_inactive(self.study.sampler)
        }

    def _id(self, trial_id: int) -> int:
        study_id = self._storage.get_study_id_from_name(NAME)
        return self._storage.get_trial_id_from_study_id_trial_number(study_id, self._numbers[trial_id])

    def _frozen(self, trial_id: int) -> optuna.trial.FrozenTrial:
        return self._storage.get_trial(self._id(trial_id))


def _is_active(
    parameter: Parameter, space: Sequence[Any], chosen: dict[str, Any], known: Sequence[Parameter]
) -> bool:
    """Return whether a parameter is active with the values that its parents were given before it."""
    return not parameter.hp.conditions or parameter.name in chosen_values(
        {**active_values(space, chosen, known)}, [parameter]
    )


def _suggest(trial: optuna.Trial, parameter: Parameter) -> Any:
    made: Any = distribution(parameter)
    if isinstance(made, optuna.distributions.CategoricalDistribution):
        return trial.suggest_categorical(parameter.name, made.choices)
    suggest: Any = trial.suggest_int if isinstance(made.low, int) else trial.suggest_float
    step = made.step if not made.log else 1 if isinstance(made.low, int) else None
    return suggest(parameter.name, made.low, made.high, step=step, log=made.log)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from telling on standard error what it does, and that some of it is new."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(level)
