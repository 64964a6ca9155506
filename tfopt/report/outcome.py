"""The outcome of a run, in one sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfopt.report.change import change, lost_too_much
from tfopt.report.formats import is_number, metric
from tfopt.report.table import latency_ratio, main_metric, metric_of, title
from tfopt.run.run_record import RunRecord
from tfopt.run.stage_record import StageRecord


def verdict(record: RunRecord | Mapping[str, Any]) -> str:
    """Return the outcome of a run in one sentence, the last stage against the first that had learned.

    A loss is said like a gain: "1.40x slower", "1.10x larger".

    Args:
        record: of the run, or the content of its `run.json`.
    """
    record = RunRecord.of(record)
    measured = record.measured
    if record.status == "failed":
        return f"Failed{_where(record)}: {record.error or 'no reason was recorded'}"
    if record.status == "damaged":
        return f"Damaged, {record.error}. Run the same command again to repair it."
    if not record.is_complete:
        reached = f"{_asked(measured)} of {_asked(record.stages)} stages are complete"
        if record.status == "running":
            return f"Not finished: {reached}."
        if record.status == "stopped":
            return f"Stopped by its search after {record.epochs} epochs: {reached}."
        return f"Not finished: {reached}. Run the same command again to resume."
    if not measured:
        return "Complete, but no stage was recorded."
    first, last = record.compared[0], measured[-1]
    name = main_metric(record)
    value = metric(metric_of(last, name), name)
    if first is last:
        return f"{title(last)}: {value} {name}"
    gains = [
        f"{title(last)} {_kept(record, name, value)}",
        compare(first.bytes, last.bytes, "smaller", "larger", "the same size"),
        compare(1.0, latency_ratio(last), "faster", "slower", "as fast"),
    ]
    return ", ".join(gain for gain in gains if gain)


SAME = 0.02
"""Changes below this share are noise."""


def _asked(stages: Sequence[StageRecord]) -> int:
    """Return how many stages there are, without the model as given."""
    return sum(stage.number != 0 for stage in stages)


def compare(before: float | None, after: float | None, less: str, more: str, same: str) -> str:
    """Return by how much `after` is `less` or `more` than `before`, such as `"4.1x smaller"`.

    Differences under 2 % are called `same`: that much is noise in a latency. Empty where either is missing.
    """
    if not (is_number(before) and is_number(after)):
        return ""
    if before <= 0 or after <= 0:
        return ""
    if 1 - SAME < after / before < 1 + SAME:
        return same
    factor, word = (before / after, less) if after < before else (after / before, more)
    return f"{factor:.{2 if factor < 2 else 1}f}x {word}"


def outcome(record: RunRecord) -> str:
    """Return `"good"`, `"bad"` (failed, or worse than the export allows) or `""` while it is not known."""
    if record.status in ("failed", "damaged") or (record.is_complete and lost_too_much(record)):
        return "bad"
    return "good" if record.is_complete else ""


def _kept(record: RunRecord, name: str, value: str) -> str:
    """Return what became of the main metric: `"keeps 97.50 % (trained 97.78 %)"`."""
    first = record.compared[0]
    named = "" if name == "accuracy" else f"{name} "
    since = f"({title(first)} {metric(metric_of(first, name), name)})"
    found = change(record)
    if found is not None and found.lower_is_better and abs(found.drop) >= SAME:
        by = "far" if found.drop == float("inf") else f"{100 * abs(found.drop):.0f} %"
        return f"has {named}{value}, {by} {'worse' if found.drop > 0 else 'better'} {since}"
    if found is not None and not found.lower_is_better and lost_too_much(record):
        lost = f"{100 * found.drop:.1f} points" if name.endswith("accuracy") else f"{found.drop:.3g}"
        return f"loses {lost}: {named}{value} {since}"
    return f"keeps {named}{value} {since}"


def _where(record: RunRecord) -> str:
    unfinished = [stage for stage in record.stages if not stage.is_complete]
    return f" in the stage {unfinished[0].name!r}" if unfinished else ""
