"""The table of a search: its trials, the best one and those that no other one beats."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tfopt.report import formats
from tfopt.run.search_record import GoalRecord, SearchRecord, TrialRecord

_METRICS: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "accuracy": ("Accuracy", formats.percent),
    "bytes": ("Size", formats.size),
    "compressed_bytes": ("gzip", formats.size),
    "macs": ("MACs", formats.count),
    "params": ("Params", formats.count),
    "latency": ("Latency", formats.ratio),
    "epochs": ("Epochs", formats.count),
    "training_macs": ("Training MACs", formats.count),
    "seconds": ("Time", formats.seconds),
}
"""Metric -> its heading, and how it is shown; others as Keras calls them."""

_ALWAYS = ("accuracy", "bytes", "compressed_bytes", "latency")
"""Columns of every table, where trials have them."""


def trials_table(record: SearchRecord | Mapping[str, Any]) -> RenderableType:
    """Return the table of a search for a `rich` console.

    Args:
        record: of the search, or the content of its `search.json`.
    """
    record = SearchRecord.of(record)
    shown = [trial for trial in record.trials if not trial.is_rejected]
    names = list(dict.fromkeys(name for trial in shown for name in trial.values))
    shown_columns = columns(record)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Trial", justify="right")
    table.add_column("")
    for column in shown_columns:
        table.add_column(shown_metric(column)[0], justify="right", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    for trial in shown:
        table.add_row(
            str(trial.number),
            mark(trial, record),
            *(shown_metric(column)[1](trial.metrics.get(column)) for column in shown_columns),
            *(shown_value(trial.values.get(name)) for name in names),
            style=_style(trial, record),
        )
    failed = [trial for trial in record.trials if trial.status == "failed"]
    told = [Text(f"Trial {trial.number} failed: {trial.reason}") for trial in failed]
    if record.rejected:
        told.append(Text(rejections(record)))
    outcome_line = Text(conclusion(record), style="bold")
    return Group(_head(record), Text(), table, Text(), *told, outcome_line, legend(record))


def conclusion(record: SearchRecord) -> str:
    """Return what a search found, in one sentence."""
    best = record.best_trial
    if best is not None:
        return f"Best: trial {best.number}, {outcome(best, record.goal)}"
    completed = [trial for trial in record.trials if trial.is_complete]
    if not completed:
        return "No trial completed."
    missed = [closest for name in _constraints(record) if (closest := _closest(name, completed))]
    return f"No trial met {' and '.join(missed or _constraints(record))}."


def outcome(trial: TrialRecord, goal: GoalRecord | None = None) -> str:
    """Return how a trial ended, in one line: the metrics of the goal, or accuracy, size and latency."""
    if trial.status in ("failed", "rejected"):
        return f"{trial.status}: {trial.reason}"
    if trial.status == "stopped":
        return f"stopped after epoch {trial.epochs}"
    wanted = [*goal.directions, *goal.keep, *(goal.max or {})] if goal else []
    wanted = [
        name for name in dict.fromkeys([*wanted, "accuracy", "bytes", "latency"]) if name in trial.metrics
    ]
    parts = []
    for name in wanted:
        text = shown_metric(name)[1](trial.metrics.get(name))
        parts.append(text if name in ("bytes", "seconds") else f"{name} {text}")
    missed = ", ".join(trial.violations or {})
    infeasible = f", misses {missed}" if missed else ", infeasible"
    return ", ".join(parts) + (infeasible if trial.feasible is False else "")


def columns(record: SearchRecord) -> list[str]:
    """Return the metrics that the table shows: those of the goal, and the usual ones."""
    goal = record.goal or GoalRecord()
    asked = [*goal.directions, *goal.keep, *(goal.max or {})]
    measured = {name for trial in record.trials for name in trial.metrics}
    usual = [name for name in _ALWAYS if name in measured or not measured]
    wanted = dict.fromkeys([*usual, *(name for name in asked if name in measured)])
    order = [*_METRICS]
    return sorted(wanted, key=lambda name: (order.index(name) if name in order else -1, name))


def shown_metric(name: str) -> tuple[str, Callable[[float | None], str]]:
    """Return the heading of a metric, and what makes text of its values."""
    return _METRICS.get(name) or (name, functools.partial(formats.metric, name=name))


def _constraints(record: SearchRecord) -> list[str]:
    goal = record.goal or GoalRecord()
    return [
        *(f"--keep {name}={change:g}" for name, change in goal.keep.items()),
        *(f"--max {name}={shown_value(limit)}" for name, limit in (goal.max or {}).items()),
    ]


def _closest(option: str, trials: Sequence[TrialRecord]) -> str | None:
    """Return a constraint that every trial misses, with the value that came closest; `None` for another."""
    kind, _, rest = option.removeprefix("--").partition(" ")
    name = rest.partition("=")[0]
    missing = [(trial.violations or {}).get(f"{kind} {name}", 0.0) for trial in trials]
    if not all(missing):
        return None
    nearest = trials[missing.index(min(missing))]
    return f"{option} (closest: {shown_metric(name)[1](nearest.metrics.get(name))}, trial {nearest.number})"


def rejections(record: SearchRecord) -> str:
    """Return how many trials were rejected, and by which constraints."""
    rejected = [trial for trial in record.trials if trial.is_rejected]
    by = Counter(name for trial in rejected for name in (trial.violations or {"the model": 1.0}))
    causes = ", ".join(f"{name} ({count})" for name, count in by.most_common())
    count = "1 trial was" if len(rejected) == 1 else f"{len(rejected)} trials were"
    return f"{count} rejected before training: {causes}."


def sought(record: SearchRecord) -> str:
    """Return what a search is after: `"smallest bytes, accuracy within -0.01"`."""
    goal = record.goal or GoalRecord()
    words = {"min": "smallest", "max": "highest"}
    wanted = ", ".join(f"{words.get(way, '')} {name}" for name, way in goal.directions.items())
    kept = "".join(f", {name} within {change:+g}" for name, change in goal.keep.items())
    kept += "".join(f", {name} at most {shown_value(limit)}" for name, limit in (goal.max or {}).items())
    return f"{wanted}{kept}"


def _head(record: SearchRecord) -> Text:
    return Text.assemble(
        (record.name or "search", "bold"),
        f"  {record.id or ''}  {record.status or ''}  ",
        f"{progress(record)}, {sought(record)}",
    )


def progress(record: SearchRecord) -> str:
    """Return how much of its budgets a search has used: `"12 of 30 trials, 340 of 400 epochs, 1 h 2 min"`."""
    run = len(record.trials) - record.rejected
    parts = [
        f"{run} trials" if record.requested_trials is None else f"{run} of {record.requested_trials} trials"
    ]
    if record.requested_epochs is not None:
        parts.append(f"{record.epochs} of {record.requested_epochs} epochs")
    elif record.epochs:
        parts.append(f"{record.epochs} epochs")
    spent = formats.seconds(record.seconds)
    if record.requested_hours is not None:
        spent = f"{formats.seconds(record.searched)} of {record.requested_hours:g} h"
    return ", ".join([*parts, spent])


def front_metrics(record: SearchRecord) -> list[str]:
    """Return the metrics of which the front is; with version 1 of `search.json` it was always these three."""
    goal = record.goal or GoalRecord()
    return [*goal.directions] if record.schema > 1 else ["accuracy", "bytes", "latency"]


def legend(record: SearchRecord) -> Text:
    """Return what the marks of the table mean, and what else there is to know of the search."""
    names = front_metrics(record)
    together = f"in {', '.join(names[:-1])} and {names[-1]} together" if len(names) > 1 else f"in {names[0]}"
    parts = [f"* no other trial beats it {together}"]
    if record.knee is not None:
        parts.append(f"the front bends most at trial {record.knee}")
    if record.hypervolume is not None and len(names) > 1:
        parts.append(f"hypervolume {record.hypervolume:.3f}")
    accuracy = record.baseline.metrics.get("accuracy") if record.baseline else None
    if accuracy is not None:
        floating = formats.percent(accuracy)
        parts.append(f"accuracy on the validation split, float model of the first trial {floating}")
    parts.append("latency as a ratio to the first trial's file")
    if record.earlier:
        parts.append(f"the sampler knew {sum(record.earlier.values())} trials of earlier searches")
    if any(trial.status == "stopped" for trial in record.trials):
        parts.append("stopped: others were better after as many epochs")
    run = len(record.trials) - record.rejected
    if record.stopped:
        parts.append(f"the search ended because it had used up its {record.stopped}")
    elif record.status == "complete" and run < (record.requested_trials or 0):
        many = record.rejected >= 10 * (record.requested_trials or 1)
        parts.append("too many trials were rejected" if many else "the space has no other values to try")
    return Text("; ".join(parts), style="dim")


def mark(trial: TrialRecord, record: SearchRecord) -> str:
    """Return how a trial ended, where not as it should, and what it is: best, knee, `*` on the front."""
    marks = []
    if not trial.is_complete:
        marks.append(trial.status)
    elif trial.feasible is False:
        marks.append("infeasible")
    if trial.number == record.best:
        marks.append("best")
    if trial.number == record.knee:
        marks.append("knee")
    if trial.number in record.front:
        marks.append("*")
    return " ".join(marks)


def _style(trial: TrialRecord, record: SearchRecord) -> str:
    if trial.number == record.best:
        return "bold"
    return "" if trial.is_complete and trial.feasible is not False else "dim"


def shown_value(value: Any) -> str:
    """Return the value of a hyperparameter or a limit as people read it."""
    if value is None:
        return formats.MISSING
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.3g}"
    return str(value)
