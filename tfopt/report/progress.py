"""How far a search is, in one line for each trial that ended."""

from __future__ import annotations

from tfopt.report.trials import outcome
from tfopt.run.search_record import SearchRecord, TrialRecord

_ENDED = ("complete", "failed", "stopped")


def trial_line(trial: TrialRecord, record: SearchRecord) -> str:
    """Return how a trial ended and how far the search is, without a line break.

    Args:
        trial: that ended.
        record: of the search when it did.
    """
    told = " ".join(outcome(trial, record.goal).split())
    if trial.is_rejected:
        return f"trial {trial.number}: {told}"
    parts = [f"{_name(trial, record)}: {told}"]
    best = record.best_trial
    if best is not None and best.number != trial.number:
        parts.append(f"best so far trial {best.number} ({outcome(best, record.goal)})")
    elif best is not None:
        parts.append("best so far")
    if record.goal and len(record.goal.directions) > 1:
        parts.append(f"front {len(record.front)}")
    workers = _running(record) + 1
    if workers > 1:
        parts.append(f"{workers} workers")
    left = seconds_left(record)
    if left is not None:
        parts.append(f"about {_roughly(left)} left")
    return "; ".join(parts)


def seconds_left(record: SearchRecord) -> float | None:
    """Return about how long a search still takes, from the mean of its trials; `None` where nobody can tell.

    Of several budgets, the one that is used up first counts. Trials that run are taken to be at their
    beginning.
    """
    ended = [trial for trial in record.trials if trial.status in _ENDED]
    if not ended or not record.seconds:
        return None
    a_trial = record.seconds / len(ended)
    at_once = _running(record) + 1
    estimates = []
    if record.requested_trials is not None:
        estimates.append(max(record.requested_trials - len(ended), 0) * a_trial / at_once)
    if record.requested_epochs is not None and record.epochs:
        open_epochs = max(record.requested_epochs - record.epochs, 0)
        estimates.append(open_epochs / record.epochs * record.seconds / at_once)
    if record.requested_hours is not None:
        estimates.append(max(3600 * record.requested_hours - record.searched, 0.0))
    return min(estimates) if estimates and min(estimates) > 0 else None


def _running(record: SearchRecord) -> int:
    return sum(trial.status == "running" for trial in record.trials)


def _name(trial: TrialRecord, record: SearchRecord) -> str:
    """Return `"trial 7 of 30"`; where trials were rejected, which do not count, also how many did."""
    if record.requested_trials is None:
        return f"trial {trial.number}"
    if not record.rejected:
        return f"trial {trial.number} of {record.requested_trials}"
    ended = sum(each.status in _ENDED for each in record.trials)
    return f"trial {trial.number} ({ended} of {record.requested_trials})"


def _roughly(seconds: float) -> str:
    """Return a duration as one says it: `"40 s"`, `"12 min"`, `"3.5 h"`."""
    if seconds < 55:
        return f"{max(round(seconds, -1 if seconds >= 10 else 0), 1):.0f} s"
    if seconds < 90 * 60:
        return f"{max(round(seconds / 60), 1)} min"
    return f"{seconds / 3600:.1f} h"
