"""The table of a search: its trials, the best one and those that no other one beats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    "latency": ("Latency", formats.ratio),
}


def trials_table(record: SearchRecord | Mapping[str, Any]) -> RenderableType:
    """Return the table of a search for a `rich` console.

    Args:
        record: of the search, or the content of its `search.json`.
    """
    record = SearchRecord.of(record)
    names = list(dict.fromkeys(name for trial in record.trials for name in trial.values))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Trial", justify="right")
    table.add_column("")
    for title, _ in _METRICS.values():
        table.add_column(title, justify="right", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    for trial in record.trials:
        table.add_row(
            str(trial.number),
            _mark(trial, record),
            *(show(trial.metrics.get(name)) for name, (_, show) in _METRICS.items()),
            *(_value(trial.values.get(name)) for name in names),
            style=_style(trial, record),
        )
    failed = [trial for trial in record.trials if trial.status == "failed"]
    failures = [Text(f"Trial {trial.number} failed: {trial.reason}") for trial in failed]
    outcome_line = Text(conclusion(record), style="bold")
    return Group(_head(record), Text(), table, Text(), *failures, outcome_line, _legend(record))


def conclusion(record: SearchRecord) -> str:
    """Return what a search found, in one sentence."""
    best = record.best_trial
    if best is not None:
        return f"Best: trial {best.number}, {outcome(best)}"
    if not any(trial.is_complete for trial in record.trials):
        return "No trial completed."
    kept = record.goal.keep.items() if record.goal else ()
    return f"No trial met --keep {', '.join(f'{name}={value:g}' for name, value in kept)}."


def outcome(trial: TrialRecord) -> str:
    """Return how a trial ended, in one line."""
    if trial.status == "failed":
        return f"failed: {trial.reason}"
    if trial.status == "stopped":
        return f"stopped after {trial.epochs} epochs"
    parts = [
        f"accuracy {formats.percent(trial.metrics.get('accuracy'))}",
        formats.size(trial.metrics.get("bytes")),
        f"latency {formats.ratio(trial.metrics.get('latency'))}",
    ]
    return ", ".join(parts) + (", loses too much accuracy" if trial.feasible is False else "")


def _head(record: SearchRecord) -> Text:
    goal = record.goal or GoalRecord()
    words = {"min": "smallest", "max": "highest"}
    wanted = ", ".join(f"{words.get(way, '')} {name}" for name, way in goal.directions.items())
    kept = "".join(f", {name} within {change:+g}" for name, change in goal.keep.items())
    requested = formats.MISSING if record.requested_trials is None else record.requested_trials
    epochs = f"{record.epochs} epochs, " if record.epochs else ""
    return Text.assemble(
        (record.name or "search", "bold"),
        f"  {record.id or ''}  {record.status or ''}  ",
        f"{len(record.trials)} of {requested} trials, ",
        f"{formats.seconds(record.seconds)}, {epochs}{wanted}{kept}",
    )


def _legend(record: SearchRecord) -> Text:
    parts = ["* no other trial beats it in accuracy, size and latency together"]
    if record.baseline and record.baseline.accuracy is not None:
        floating = formats.percent(record.baseline.accuracy)
        parts.append(f"accuracy on the validation split, float model of the first trial {floating}")
    parts.append("latency as a ratio to the first trial's file")
    if record.earlier:
        parts.append(f"the sampler knew {sum(record.earlier.values())} trials of earlier searches")
    if any(trial.status == "stopped" for trial in record.trials):
        parts.append("stopped: others were better after as many epochs")
    if record.status == "complete" and len(record.trials) < (record.requested_trials or 0):
        parts.append("the space has no other values to try")
    return Text("; ".join(parts), style="dim")


def _mark(trial: TrialRecord, record: SearchRecord) -> str:
    marks = []
    if not trial.is_complete:
        marks.append(trial.status)
    elif trial.feasible is False:
        marks.append("infeasible")
    if trial.number == record.best:
        marks.append("best")
    if trial.number in record.front:
        marks.append("*")
    return " ".join(marks)


def _style(trial: TrialRecord, record: SearchRecord) -> str:
    if trial.number == record.best:
        return "bold"
    return "" if trial.is_complete and trial.feasible is not False else "dim"


def _value(value: Any) -> str:
    if value is None:
        return formats.MISSING
    return f"{value:.3g}" if isinstance(value, float) else str(value)
