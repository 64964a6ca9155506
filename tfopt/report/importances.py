"""How much each hyperparameter of a search explains, from the study of Optuna in its folder."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tfopt.run.search_record import SearchRecord

if TYPE_CHECKING:
    import optuna

STUDY = Path("tuner", "optuna.journal")
"""Where the study of a search is, relative to its folder."""

ENOUGH = 4
"""Completed trials below which fractions would say nothing."""


class NoImportancesError(Exception):
    """Why nothing is known of the importances of a search."""


def search_importances(folder: Path, record: SearchRecord) -> Mapping[str, Mapping[str, float]]:
    """Return objective -> hyperparameter -> the fraction of it that it explains, the largest first.

    Raises:
        NoImportancesError: the sampler has no study, or too few trials completed.
    """
    if not (folder / STUDY).is_file():
        raise NoImportancesError(f"The sampler {record.sampler or 'of this search'} has no study of Optuna.")
    if record.completed < ENOUGH:
        raise NoImportancesError(f"Importances need {ENOUGH} completed trials, {record.completed} did.")
    study = _study(folder / STUDY)
    directions = record.goal.directions if record.goal else {}
    if list(study.metric_names or []) != [*directions]:
        raise NoImportancesError("The study of Optuna in the folder is of another goal.")
    found = {}
    for number, name in enumerate(directions):
        if len({trial.values[number] for trial in study.trials if trial.state.name == "COMPLETE"}) > 1:
            found[name] = explained(study, number)
    found = {name: shares for name, shares in found.items() if shares}
    if not found:
        raise NoImportancesError("The trials that completed do not differ.")
    return found


def explained(study: optuna.Study, objective: int) -> dict[str, float]:
    """Return hyperparameter -> fraction of an objective that it explains, the largest first.

    PED-ANOVA (Watanabe et al., 2023) over the trials that completed.

    Args:
        study: of Optuna.
        objective: its number, from 0.
    """
    import optuna

    sign = 1.0 if study.directions[objective].name == "MINIMIZE" else -1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.simplefilter("ignore", UserWarning)  # that small targets are the good ones
        return optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
            target=lambda trial: sign * trial.values[objective],
        )


def _study(file: Path) -> optuna.Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        try:
            storage = JournalStorage(JournalFileBackend(str(file)))
            return optuna.load_study(study_name=optuna.get_all_study_names(storage)[0], storage=storage)
        except (OSError, IndexError, KeyError, ValueError) as error:
            raise NoImportancesError(f"The study of Optuna in {file} cannot be read: {error}.") from error
