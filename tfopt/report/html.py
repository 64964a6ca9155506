"""`report.html`: the whole run on one page that needs no other file and no network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.files import write_atomically
from tfopt.report import details, formats
from tfopt.report.curves import charts
from tfopt.report.outcome import compare, outcome, verdict
from tfopt.report.table import (
    COLUMNS,
    columns,
    heading,
    latency_ratio,
    main_metric,
    metric_of,
    rows,
    title,
)
from tfopt.run.run_record import RunRecord
from tfopt.run.stage_record import LatencyRecord, StageRecord

if TYPE_CHECKING:
    from jinja2 import Template


def write_html(folder: Path, record: RunRecord | Mapping[str, Any]) -> Path:
    """Write `report.html` into the folder of a run and return its path.

    Args:
        folder: of the run.
        record: of the run, or the content of its `run.json`; the run may be complete or cut off.

    Raises:
        RunError: the file cannot be written.
    """
    path = folder / "report.html"
    write_atomically(path, page(RunRecord.of(record)))
    return path


def page(record: RunRecord) -> str:
    """Return the page of a run."""
    return template("report.html").render(
        record=record,
        verdict=verdict(record).replace(" %", "\N{NO-BREAK SPACE}%"),
        key_metrics=_key_metrics(record),
        outcome=outcome(record),
        columns=[(heading(column, record), column) for column in columns(record)],
        rows=rows(record, columns(record)),
        durations=[_duration(stage) for stage in record.stages],
        trained=[(stage.number, title(stage)) for stage in record.stages if stage.history],
        charts=charts(record),
        verifications=[(title(stage), stage.verification) for stage in record.stages if stage.verification],
        settings=[(title(stage), details.settings(stage)) for stage in record.stages],
        facts=[("Data", _data(record)), ("Environment", _environment(record))],
        classes=details.class_rows(record),
        class_titles=details.class_titles(record),
        outputs=details.output_rows(record),
        widths=details.width_rows(record),
        sizes=details.size_rows(record),
        contract=details.contract_lines(details.contract_of(record)),
        missing=formats.MISSING,
    )


def template(name: str) -> Template:
    """Return a template of this folder, with the filters of all pages."""
    from jinja2 import Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {
        "seconds": formats.seconds,
        "moment": formats.moment,
        "percent": formats.percent,
        "value": _value,
        "number": lambda value: f"{value:.4g}" if formats.is_number(value) else formats.MISSING,
    }
    return environment.get_template(name)


def _key_metrics(record: RunRecord) -> list[tuple[str, str, str]]:
    """Return (name, value, remark) of the metrics at the top: the last file against the first."""
    compared = record.compared
    if not compared:
        return []
    first, last = compared[0], compared[-1]
    name = main_metric(record)
    metrics = [
        (
            heading(COLUMNS[1], record),
            formats.metric(metric_of(last, name), name),
            f"{title(first)} {formats.metric(metric_of(first, name), name)}",
        ),
        ("Size", formats.size(last.bytes), compare(first.bytes, last.bytes, *_SIZES)),
        (
            "Compressed",
            formats.size(last.compressed_bytes),
            compare(first.compressed_bytes, last.compressed_bytes, *_SIZES),
        ),
        ("Latency", formats.ratio(latency_ratio(last)), _latency(last.latency)),
        ("Sparsity", formats.percent(last.sparsity, 1), "of prunable weights"),
    ]
    if last.verification and formats.is_number(last.verification.top1_agreement):
        agreement = formats.percent(last.verification.top1_agreement)
        metrics.append(("Agreement", agreement, "same class chosen"))
    return metrics if last is not first else [(name, value, "") for name, value, _ in metrics]


_SIZES = ("smaller", "larger", "the same size")


def _duration(stage: StageRecord) -> str:
    """Return how long a stage took, and in which other run."""
    took = formats.seconds(stage.seconds)
    return took if stage.taken_from is None else f"{took} in {stage.taken_from}"


def _data(record: RunRecord) -> dict[str, Any]:
    """Return what is known of the data, names of classes in one line."""
    data = record.data.to_json() if record.data else {}
    if data.get("class_names"):
        data["class_names"] = formats.class_names(data["class_names"])
    return data


def _environment(record: RunRecord) -> dict[str, Any]:
    return record.environment.to_json() if record.environment else {}


def _latency(latency: LatencyRecord | None) -> str:
    said = compare(1.0, latency.ratio, "faster", "slower", "as fast") if latency else ""
    if not latency or not said:
        return "not measured"
    return f"{said}, {formats.seconds(latency.seconds)}" if latency.seconds else said


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
