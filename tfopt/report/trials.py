"""The table of a search: its trials, the best one and those that no other one beats."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from tfopt.report import formats

_FIGURES: dict[str, tuple[str, Callable[[float | None], str]]] = {
    "accuracy": ("Accuracy", formats.percent),
    "bytes": ("Size", formats.size),
    "compressed_bytes": ("gzip", formats.size),
    "latency": ("Latency", formats.ratio),
}


def trials_table(record: Mapping[str, Any]) -> RenderableType:
    """Return the table of a search for a `rich` console.

    Args:
        record: the content of `search.json`.
    """
    trials = list(record.get("trials") or [])
    names = list(dict.fromkeys(name for trial in trials for name in trial.get("values") or {}))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("Trial", justify="right")
    table.add_column("")
    for title, _ in _FIGURES.values():
        table.add_column(title, justify="right", no_wrap=True)
    for name in names:
        table.add_column(name, justify="right")
    for trial in trials:
        values = trial.get("values") or {}
        figures = trial.get("figures") or {}
        cells = [show(figures.get(name)) for name, (_, show) in _FIGURES.items()]
        table.add_row(
            str(trial["number"]),
            _mark(trial, record),
            *cells,
            *(_value(values.get(name)) for name in names),
            style=_style(trial, record),
        )
    failures = [Text(f"Trial {t['number']} failed: {t['reason']}") for t in trials if t["status"] == "failed"]
    outcome_line = Text(conclusion(record), style="bold")
    return Group(_head(record), Text(), table, Text(), *failures, outcome_line, _legend(record))


def conclusion(record: Mapping[str, Any]) -> str:
    """Return what a search found, in one sentence."""
    number = record.get("best")
    if number is None:
        complete = any(trial["status"] == "complete" for trial in record.get("trials") or [])
        kept = ", ".join(
            f"{name}={value:g}" for name, value in (record.get("goal") or {}).get("keep", {}).items()
        )
        return f"No trial met --keep {kept}." if complete else "No trial completed."
    best = next(trial for trial in record["trials"] if trial["number"] == number)
    return f"Best: trial {number}, {outcome(best)}"


def outcome(trial: Mapping[str, Any]) -> str:
    """Return how a trial ended, in one line."""
    if trial["status"] == "failed":
        return f"failed: {trial['reason']}"
    figures = trial["figures"]
    parts = [
        f"accuracy {formats.percent(figures.get('accuracy'))}",
        formats.size(figures.get("bytes")),
        f"latency {formats.ratio(figures.get('latency'))}",
    ]
    return ", ".join(parts) + ("" if trial.get("feasible", True) else ", loses too much accuracy")


def _head(record: Mapping[str, Any]) -> Text:
    goal = record.get("goal") or {}
    word = {"min": "smallest", "max": "highest"}.get(goal.get("direction", ""), "")
    kept = "".join(f", {name} within {change:+g}" for name, change in (goal.get("keep") or {}).items())
    return Text.assemble(
        (str(record.get("name") or "search"), "bold"),
        f"  {record.get('id') or ''}  {record.get('status') or ''}  ",
        f"{len(record.get('trials') or [])} of {record.get('requested_trials', formats.MISSING)} trials, ",
        f"{formats.seconds(record.get('seconds'))}, {word} {goal.get('metric', '')}{kept}",
    )


def _legend(record: Mapping[str, Any]) -> Text:
    parts = ["* no other trial beats it in accuracy, size and latency together"]
    baseline = (record.get("baseline") or {}).get("accuracy")
    if baseline is not None:
        floating = formats.percent(baseline)
        parts.append(f"accuracy on the validation split, float model of the first trial {floating}")
    parts.append("latency as a ratio to the first trial's file")
    if record.get("status") == "complete" and len(record["trials"]) < record.get("requested_trials", 0):
        parts.append("the space has no other values to try")
    return Text("; ".join(parts), style="dim")


def _mark(trial: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    marks = []
    if trial["status"] != "complete":
        marks.append(trial["status"])
    elif not trial.get("feasible", True):
        marks.append("infeasible")
    if trial["number"] == record.get("best"):
        marks.append("best")
    if trial["number"] in (record.get("front") or []):
        marks.append("*")
    return " ".join(marks)


def _style(trial: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    if trial["number"] == record.get("best"):
        return "bold"
    return "" if trial["status"] == "complete" and trial.get("feasible", True) else "dim"


def _value(value: Any) -> str:
    if value is None:
        return formats.MISSING
    return f"{value:.3g}" if isinstance(value, float) else str(value)
