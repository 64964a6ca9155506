"""`report.html`: the whole run on one page that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfopt.files import write_atomically
from tfopt.report import details, formats
from tfopt.report.curves import charts
from tfopt.report.table import (
    COLUMNS,
    columns,
    heading,
    main_metric,
    measured,
    numbered,
    rows,
    stages,
    title,
)
from tfopt.report.verdict import compare, outcome, verdict


def write_html(folder: Path, record: Mapping[str, Any]) -> Path:
    """Write `report.html` into the folder of a run and return its path.

    Args:
        folder: of the run.
        record: the content of its `run.json`; the run may be complete or cut off.

    Raises:
        RunError: the file cannot be written.
    """
    path = folder / "report.html"
    write_atomically(path, page(record))
    return path


def page(record: Mapping[str, Any]) -> str:
    """Return the page for the content of a `run.json`."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "seconds": formats.seconds,
        "moment": formats.moment,
        "percent": formats.percent,
        "value": _value,
        "figure": lambda value: f"{value:.4g}" if formats.is_number(value) else formats.MISSING,
    }
    return environment.get_template("report.html").render(
        record=record,
        verdict=verdict(record).replace(" %", "\N{NO-BREAK SPACE}%"),
        key_figures=_key_figures(record),
        outcome=outcome(record),
        columns=[(heading(column, record), column) for column in columns(record)],
        rows=rows(record, columns(record)),
        durations=[formats.seconds(stage.get("seconds")) for stage in stages(record)],
        trained=[(i, title(stage)) for i, stage in numbered(record) if stage.get("history")],
        charts=charts(record),
        verifications=[
            (title(stage), stage["verification"]) for stage in stages(record) if stage.get("verification")
        ],
        settings=[(title(stage), details.settings(stage)) for stage in stages(record)],
        facts=[("Data", _data(record)), ("Environment", record.get("environment"))],
        classes=details.class_rows(record),
        class_titles=details.class_titles(record),
        outputs=details.output_rows(record),
        contract=details.contract_lines(record),
        missing=formats.MISSING,
    )


def _key_figures(record: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return (name, value, remark) of the figures at the top: the last file against the first."""
    done = measured(record)
    if not done:
        return []
    first, last = done[0], done[-1]
    name = main_metric(record)
    before, after = ((stage.get("metrics") or {}).get(name) for stage in (first, last))
    latency = last.get("latency") or {}
    checked = last.get("verification") or {}
    figures = [
        (
            heading(COLUMNS[1], record),
            formats.metric(after, name),
            f"{title(first)} {formats.metric(before, name)}",
        ),
        ("Size", formats.size(last.get("bytes")), compare(first.get("bytes"), last.get("bytes"), *_SIZES)),
        (
            "Compressed",
            formats.size(last.get("compressed_bytes")),
            compare(first.get("compressed_bytes"), last.get("compressed_bytes"), *_SIZES),
        ),
        ("Latency", formats.ratio(latency.get("ratio")), _latency(latency)),
        ("Sparsity", formats.percent(last.get("sparsity"), 1), "of prunable weights"),
    ]
    if formats.is_number(checked.get("top1_agreement")):
        agreement = formats.percent(checked.get("top1_agreement"))
        figures.append(("Agreement", agreement, "same class chosen"))
    return figures if last is not first else [(name, value, "") for name, value, _ in figures]


_SIZES = ("smaller", "larger", "the same size")


def _data(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is known of the data, names of classes in one line."""
    data = dict(record.get("data") or {})
    if data.get("class_names"):
        data["class_names"] = formats.class_names(data["class_names"])
    return data


def _latency(latency: Mapping[str, Any]) -> str:
    said = compare(1.0, latency.get("ratio"), "faster", "slower", "as fast")
    if not said:
        return "not measured"
    return f"{said}, {formats.seconds(latency['seconds'])}" if latency.get("seconds") else said


def _value(value: Any) -> str:
    """Return a value of `run.json` for reading: no quotes, no brackets, no empty list."""
    if value is None or value in ([], {}, ""):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_value(entry)}" for key, entry in value.items())
    if isinstance(value, (list, tuple)):
        numbers = all(isinstance(entry, (int, float)) for entry in value)
        return (" x " if numbers else ", ").join(map(_value, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
