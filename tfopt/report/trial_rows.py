"""The trials of a search as rows, for programs: CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from tfopt.run.search_record import SearchRecord, TrialRecord

_NESTED = ("values", "metrics", "violations")


def trial_rows(record: SearchRecord) -> list[dict[str, Any]]:
    """Return a row for each trial, of every status, in the order of their numbers."""
    return [_row(trial, record) for trial in record.trials]


def as_json(record: SearchRecord) -> str:
    """Return the trials of a search as a JSON list of one object each."""
    return json.dumps(trial_rows(record), indent=1)


def as_csv(record: SearchRecord) -> str:
    """Return the trials of a search as CSV with a heading.

    The columns of hyperparameters are `values.<name>`, those of metrics and missed constraints
    `metrics.<name>` and `violations.<name>`. A value that a trial does not have is empty.
    """
    rows = [_flat(row) for row in trial_rows(record)]
    plain = [name for name in _row(TrialRecord(), record) if name not in _NESTED]
    nested = [
        name
        for kind in _NESTED
        for name in dict.fromkeys(name for row in rows for name in row if name.startswith(f"{kind}."))
    ]
    file = io.StringIO()
    writer = csv.DictWriter(file, [*plain, *nested], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def _row(trial: TrialRecord, record: SearchRecord) -> dict[str, Any]:
    return {
        "number": trial.number,
        "status": trial.status,
        "feasible": trial.feasible,
        "on_front": trial.number in record.front,
        "best": trial.number == record.best,
        "run": trial.run,
        "seconds": trial.seconds,
        "epochs": trial.epochs,
        "hypervolume": trial.hypervolume,
        "reason": trial.reason,
        "values": dict(trial.values),
        "metrics": dict(trial.metrics),
        "violations": dict(trial.violations or {}),
    }


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in row.items() if name not in _NESTED}
    nested = {f"{kind}.{name}": value for kind in _NESTED for name, value in row[kind].items()}
    return plain | nested
