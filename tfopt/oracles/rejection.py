"""Trials that end as pruned ones: stopped early, or rejected before they run, which are not counted."""

from __future__ import annotations

from collections.abc import Mapping

from keras_tuner.engine.trial import Trial

PER_TRIAL = 10
"""So many rejected trials for each of `max_trials` are not counted; with more, a search is hopeless."""

_PRUNED = "optuna.exceptions.TrialPruned"
_REJECTED = f"{_PRUNED}: rejected before it ran"


def was_pruned(trial: Trial) -> bool:
    """Return whether a trial ended by raising `optuna.TrialPruned`, or was rejected."""
    return _last_line(trial).startswith(_PRUNED)


def was_rejected(trial: Trial) -> bool:
    """Return whether a trial was rejected."""
    return _last_line(trial) == _REJECTED


def pruned_message(reason: str) -> str:
    """Return the message of a trial that is to count as pruned, with the reason."""
    return f"{_PRUNED}: {reason}"


def mark(trial: Trial, violations: Mapping[str, float], reason: str) -> None:
    """Write into a trial why it is rejected, and by how much it misses constraints.

    Args:
        trial: that will be ended as failed.
        violations: metric of a constraint -> its value, of those that are known.
        reason: in one line.
    """
    for name, value in violations.items():
        if not trial.metrics.exists(name):
            trial.metrics.register(name, direction="min")
        trial.metrics.update(name, value, step=0)
    trial.message = f"{reason}\n{_REJECTED}"


def allowed(max_trials: int | None, rejected: int) -> int | None:
    """Return how many trials there may be in all, with those that were rejected."""
    return None if max_trials is None else max_trials + min(rejected, PER_TRIAL * max_trials)


def _last_line(trial: Trial) -> str:
    return next(iter((trial.message or "").strip().splitlines()[-1:]), "")
