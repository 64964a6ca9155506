"""`report.html` of a search: one page that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfopt.files import write_atomically
from tfopt.report import search_charts
from tfopt.report.html import template
from tfopt.report.importances import NoImportancesError, search_importances
from tfopt.report.trials import (
    columns,
    conclusion,
    front_metrics,
    legend,
    mark,
    progress,
    rejections,
    shown_metric,
    shown_value,
    sought,
)
from tfopt.run.search_record import SearchRecord


def write_search_html(folder: Path, record: SearchRecord | Mapping[str, Any]) -> Path:
    """Write `report.html` into the folder of a search and return its path.

    Args:
        folder: of the search.
        record: of the search, or the content of its `search.json`; it may still run.

    Raises:
        RunError: the file cannot be written.
    """
    path = folder / "report.html"
    write_atomically(path, search_page(folder, SearchRecord.of(record)))
    return path


def search_page(folder: Path, record: SearchRecord) -> str:
    """Return the page of a search."""
    importances, unknown = _importances(folder, record)
    objective = search_charts.first_objective(record)
    names = _most_important(search_charts.parameters(record), importances.get(objective, {}))
    shown = names[: search_charts.MOST_PARAMETERS]
    return template("search.html").render(
        record=record,
        verdict=conclusion(record).replace(" %", "\N{NO-BREAK SPACE}%"),
        spent=progress(record),
        sought=sought(record),
        key_metrics=_key_metrics(record),
        objective=objective,
        fronts=search_charts.front_charts(record),
        hypervolume=search_charts.hypervolume_chart(record),
        parallel=search_charts.parallel_chart(record, shown),
        importances=[search_charts.importance_chart(found, name) for name, found in importances.items()],
        unknown=unknown,
        slices=search_charts.slice_charts(record, shown),
        left_out=names[search_charts.MOST_PARAMETERS :],
        headings=_headings(record),
        rows=_rows(record),
        failures=[trial for trial in record.trials if trial.status == "failed"],
        rejected=rejections(record) if record.rejected else "",
        legend=legend(record).plain,
    )


def _importances(folder: Path, record: SearchRecord) -> tuple[Mapping[str, Mapping[str, float]], str]:
    """Return the importances, and why they are not known."""
    try:
        return search_importances(folder, record), ""
    except NoImportancesError as error:
        return {}, str(error)


def _most_important(names: Sequence[str], found: Mapping[str, float]) -> list[str]:
    return sorted(names, key=lambda name: -found.get(name, 0.0))


def _key_metrics(record: SearchRecord) -> list[tuple[str, str, str]]:
    """Return (name, value, remark) of what is at the top: the goal, the budgets and what was spent."""
    by_status = {trial.status for trial in record.trials}
    counts = ", ".join(
        f"{sum(trial.status == status for trial in record.trials)} {status}"
        for status in ("complete", "running", "stopped", "failed", "rejected")
        if status in by_status
    )
    found = [("Trials", str(len(record.trials)), counts)]
    if record.best_trial is not None:
        number = record.best_trial.number
        found += [
            (
                shown_metric(name)[0],
                shown_metric(name)[1](record.best_trial.metrics.get(name)),
                f"trial {number}",
            )
            for name in front_metrics(record)
        ]
    found.append(("Front", str(len(record.front)), "feasible trials that no other beats"))
    if record.hypervolume is not None:
        found.append(("Hypervolume", f"{record.hypervolume:.3f}", "of the front"))
    return found


def _headings(record: SearchRecord) -> list[str]:
    return ["Trial", "", *(shown_metric(name)[0] for name in columns(record)), *_value_names(record)]


def _value_names(record: SearchRecord) -> list[str]:
    shown = [trial for trial in record.trials if not trial.is_rejected]
    return list(dict.fromkeys(name for trial in shown for name in trial.values))


def _rows(record: SearchRecord) -> list[tuple[str | None, list[str]]]:
    """Return (the page of its run, the cells) of each trial that was not rejected."""
    return [
        (
            f"{trial.run}/report.html" if trial.run and ":" not in trial.run else None,
            [
                str(trial.number),
                mark(trial, record),
                *(shown_metric(name)[1](trial.metrics.get(name)) for name in columns(record)),
                *(shown_value(trial.values.get(name)) for name in _value_names(record)),
            ],
        )
        for trial in record.trials
        if not trial.is_rejected
    ]
