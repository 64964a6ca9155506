"""What came out, in one sentence."""

from collections.abc import Mapping, Sequence
from typing import Any

from tfopt.report.change import change, lost_too_much
from tfopt.report.formats import is_number, metric
from tfopt.report.table import main_metric, measured, number_of, stages, title


def verdict(record: Mapping[str, Any]) -> str:
    """Return the outcome of a run in one sentence, the last stage against the first.

    A loss is said like a gain: "1.40x slower", "1.10x larger".
    """
    done = measured(record)
    status = record.get("status", "complete")
    if status == "failed":
        return f"Failed{_where(record)}: {record.get('error') or 'no reason was recorded'}"
    if status == "damaged":
        return f"Damaged, {record.get('error')}. Run the same command again to repair it."
    if status != "complete":
        reached = f"{_asked(done)} of {_asked(stages(record))} stages are complete"
        if status == "running":
            return f"Not finished: {reached}."
        return f"Not finished: {reached}. Run the same command again to resume."
    if not done:
        return "Complete, but no stage was recorded."
    first, last = done[0], done[-1]
    name = main_metric(record)
    value = metric((last.get("metrics") or {}).get(name), name)
    if first is last:
        return f"{title(last)}: {value} {name}"
    gains = [
        f"{title(last)} {_kept(record, name, value)}",
        compare(first.get("bytes"), last.get("bytes"), "smaller", "larger", "the same size"),
        compare(1.0, (last.get("latency") or {}).get("ratio"), "faster", "slower", "as fast"),
    ]
    return ", ".join(gain for gain in gains if gain)


SAME = 0.02
"""Changes below this share are noise."""


def _asked(stages: Sequence[Mapping[str, Any]]) -> int:
    """Return how many stages there are beside the model as given."""
    return sum(number_of(stage) != 0 for stage in stages)


def compare(before: float | None, after: float | None, less: str, more: str, same: str) -> str:
    """Return by how much `after` is `less` or `more` than `before`, such as `"4.1x smaller"`.

    Differences under 2 % are called `same`: that much is noise in a latency. Empty where either is missing.
    """
    if not (is_number(before) and is_number(after)):
        return ""
    if before <= 0 or after <= 0:
        return ""
    if 0.98 < after / before < 1.02:
        return same
    factor, word = (before / after, less) if after < before else (after / before, more)
    return f"{factor:.{2 if factor < 2 else 1}f}x {word}"


def outcome(record: Mapping[str, Any]) -> str:
    """Return `"good"`, `"bad"` (failed, or worse than the export allows) or `""` while it is not known."""
    status = record.get("status", "complete")
    if status in ("failed", "damaged") or (status == "complete" and lost_too_much(record)):
        return "bad"
    return "good" if status == "complete" else ""


def _kept(record: Mapping[str, Any], name: str, value: str) -> str:
    """Return what became of the main metric: `"keeps 97.50 % (trained 97.78 %)"`."""
    done = measured(record)
    before = metric((done[0].get("metrics") or {}).get(name), name)
    named = "" if name == "accuracy" else f"{name} "
    since = f"({title(done[0])} {before})"
    found = change(record)
    if found is not None and found.lower_is_better and abs(found.drop) >= SAME:
        by = "far" if found.drop == float("inf") else f"{100 * abs(found.drop):.0f} %"
        return f"has {named}{value}, {by} {'worse' if found.drop > 0 else 'better'} {since}"
    if found is not None and not found.lower_is_better and lost_too_much(record):
        lost = f"{100 * found.drop:.1f} points" if name.endswith("accuracy") else f"{found.drop:.3g}"
        return f"loses {lost}: {named}{value} {since}"
    return f"keeps {named}{value} {since}"


def _where(record: Mapping[str, Any]) -> str:
    unfinished = [stage for stage in stages(record) if stage.get("status", "complete") != "complete"]
    return f" in the stage {unfinished[0].get('name')!r}" if unfinished else ""
