"""What came out, in one sentence."""

from collections.abc import Mapping
from typing import Any

from tfopt.report.formats import is_number, metric
from tfopt.report.table import main_metric, measured, stages, title


def verdict(record: Mapping[str, Any]) -> str:
    """Return the outcome of a run in one sentence, the last stage against the first.

    A loss is said like a gain: "1.40x slower", "1.10x larger".
    """
    done = measured(record)
    status = record.get("status", "complete")
    if status == "failed":
        return f"Failed{_where(record)}: {record.get('error') or 'no reason was recorded'}"
    if status != "complete":
        return (
            f"Not finished: {len(done)} of {len(stages(record))} stages are complete. "
            "The same command goes on from there."
        )
    if not done:
        return "Complete, but no stage was recorded."
    first, last = done[0], done[-1]
    name = main_metric(record)
    value = metric((last.get("metrics") or {}).get(name), name)
    if first is last:
        return f"{title(last)}: {value} {name}"
    before = metric((first.get("metrics") or {}).get(name), name)
    what = "" if name == "accuracy" else f"{name} "
    gains = [
        f"{title(last)} keeps {what}{value} ({title(first)} {before})",
        compare(first.get("bytes"), last.get("bytes"), "smaller", "larger", "the same size"),
        compare(1.0, (last.get("latency") or {}).get("ratio"), "faster", "slower", "as fast"),
    ]
    return ", ".join(gain for gain in gains if gain)


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


def _where(record: Mapping[str, Any]) -> str:
    unfinished = [stage for stage in stages(record) if stage.get("status", "complete") != "complete"]
    return f" in the stage {unfinished[0].get('name')!r}" if unfinished else ""
