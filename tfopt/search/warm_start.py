"""Trials of earlier searches, as what a sampler knows before the first trial of a new one."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.errors import InvalidArgumentError
from tfopt.run.search_folder import read
from tfopt.run.search_record import SearchRecord, TrialRecord
from tfopt.search.goals.goal import Goal
from tfopt.search.goals.objectives import UnfitGoalError

if TYPE_CHECKING:
    from keras_tuner.engine.hyperparameters import HyperParameter

LEARNING = ("tpe", "gp")
"""Samplers that learn from trials which they did not propose."""


@dataclass(frozen=True, kw_only=True)
class EarlierTrial:
    """A trial that another search ran.

    Attributes:
        key: which one, in words.
        values: name of each active hyperparameter -> value, as the new search has them.
        metrics: what a sampler is told of it.
    """

    key: str
    values: Mapping[str, Any]
    metrics: Mapping[str, float]


def check_warm_start(sampler: str, goal: Goal) -> None:
    """Raise where a search cannot learn from earlier ones.

    Raises:
        InvalidArgumentError: the sampler does not learn, or the goal is one that searches do not share.
    """
    if sampler not in LEARNING:
        raise InvalidArgumentError(
            f"The sampler {sampler} does not learn from trials of earlier searches; use one of "
            f"{', '.join(LEARNING)}, or leave warm_start out."
        )
    limits = goal.limits.limits
    if "latency" in (*goal.metrics, *limits):
        raise InvalidArgumentError(
            "warm_start cannot compare latencies, which are ratios to the first trial of each search: leave "
            "latency out of the goal, or warm_start."
        )
    if shares := [name for name, limit in limits.items() if limit.relative]:
        raise InvalidArgumentError(
            f"warm_start cannot compare {shares[0]}, limited to a share of each search's first trial: "
            f'give a number, such as {shares[0]}="100k", or leave warm_start out.'
        )


def earlier_trials(
    folders: Sequence[str | os.PathLike[str]], goal: Goal, space: Sequence[HyperParameter]
) -> dict[str, list[EarlierTrial]]:
    """Return folder -> the finished trials of the search there that fit a new search.

    A trial fits where each of its values is one that the new space has. A hyperparameter that the earlier
    recipe did not ask for has its default, as it stood there; one that the new recipe does not ask for counts
    for nothing.

    Args:
        folders: of the earlier searches.
        goal: of the new search, whose metrics the earlier ones must have measured.
        space: the hyperparameters of the new search.

    Raises:
        InvalidArgumentError: no trial of a folder fits; with the reason for the first of them.
        RunError: a folder is not one of a search.
    """
    return {os.fspath(folder): _of_search(Path(folder), goal, space) for folder in folders}


def _of_search(folder: Path, goal: Goal, space: Sequence[HyperParameter]) -> list[EarlierTrial]:
    record = read(folder)
    found, reasons = [], []
    for trial in record.trials:
        if not trial.is_complete:
            continue
        values, reason = _fitted(trial.values, space)
        reason = reason or _unmeasured(trial, record, goal)
        if reason:
            reasons.append(f"trial {trial.number}: {reason}")
        else:
            key = f"{record.id or folder.resolve().name}/{trial.number}"
            found.append(EarlierTrial(key=key, values=values, metrics=_judged(trial, record, goal)))
    if not found:
        why = f"; {reasons[0]}" if reasons else ""
        raise InvalidArgumentError(
            f"None of {record.completed} finished trials in {folder} fits this search{why}. Leave it out of "
            "warm_start."
        )
    return found


def _unmeasured(trial: TrialRecord, record: SearchRecord, goal: Goal) -> str | None:
    """Return which metric of the goal a trial lacks; `None` where it has all."""
    for name in (*goal.metrics, *goal.keep, *goal.limits.limits):
        value = trial.metrics.get(name)
        if value is None or not math.isfinite(value):
            return f"it did not measure {name}"
    if not goal.keep:
        return None
    if record.baseline is None:
        return "nothing says what it was to keep"
    try:
        goal.bounds(record.baseline)
    except UnfitGoalError as error:
        return str(error)
    return None


def _judged(trial: TrialRecord, record: SearchRecord, goal: Goal) -> dict[str, float]:
    """Return the metrics of a trial, and by how much it misses what its search's model is to be kept by."""
    found = {name: float(trial.metrics[name] or 0.0) for name in goal.metrics}
    if record.baseline is None:
        return found
    return {**found, **goal.violations(trial.metrics, record.baseline)}


def _fitted(values: Mapping[str, Any], space: Sequence[HyperParameter]) -> tuple[dict[str, Any], str | None]:
    """Return the values of the hyperparameters that are active in a space, and which one does not fit."""
    import keras_tuner

    from tfopt.oracles.parameters import parameters

    known = {id(parameter.hp): parameter for parameter in parameters(space)}
    found, shared = keras_tuner.HyperParameters(), 0
    for hp in space:
        found.merge([hp])
        if not found.is_active(hp) or hp.name not in values:
            continue
        value = values[hp.name]
        parameter = known.get(id(hp))
        if not (parameter.takes(value) if parameter else value == hp.default):
            return {}, f"{hp.name} was {value!r}, which this search does not try"
        found.values[hp.name] = value
        shared += parameter is not None
    if not shared:
        return {}, "it has no hyperparameter in common with this search"
    return dict(found.values), None
