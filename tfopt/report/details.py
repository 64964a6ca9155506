"""What stands below the table of stages: warnings, classes, outputs, rates and what the file takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfopt.report import formats
from tfopt.report.table import measured, metric_title, stages, title


def class_rows(record: Mapping[str, Any], limit: int | None = None) -> list[tuple[str, str, str, str]]:
    """Return (class, samples, accuracy of the first stage, of the last) on the test split.

    Args:
        limit: how many, at most: then those that the last stage knows worst.
    """
    done = [stage for stage in measured(record) if stage.get("classes")]
    if not done:
        return []
    pairs = list(zip(done[0]["classes"], done[-1]["classes"], strict=False))
    if limit is not None and len(pairs) > limit:
        pairs = sorted(pairs, key=lambda pair: _or_one(pair[1].get("accuracy")))[:limit]
    return [
        (
            str(last.get("class")),
            str(last.get("samples")),
            formats.percent(first.get("accuracy")),
            formats.percent(last.get("accuracy")),
        )
        for first, last in pairs
    ]


def class_titles(record: Mapping[str, Any]) -> tuple[str, str]:
    """Return what the first and the last stage of `class_rows` are called."""
    done = [stage for stage in measured(record) if stage.get("classes")]
    return (title(done[0]), title(done[-1])) if done else ("", "")


def output_rows(record: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return (output, metric, first stage, last stage) for each metric of each of several outputs."""
    names = list((record.get("model") or {}).get("outputs") or [])
    done = [stage for stage in measured(record) if stage.get("metrics")]
    if len(names) < 2 or not done:
        return []
    first, last = done[0]["metrics"], done[-1]["metrics"]
    rows = []
    for name in names:
        for key in last:
            owner = max((each for each in names if key.startswith(f"{each}_")), key=len, default=None)
            if owner == name:
                short = key.removeprefix(f"{name}_")
                values = (formats.metric(each.get(key), key) for each in (first, last))
                rows.append((name, metric_title(short), *values))
    return rows


def contract_lines(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return (name, text) of what the file takes and returns, and what is done to the inputs before."""
    contract = next((stage["contract"] for stage in reversed(stages(record)) if stage.get("contract")), None)
    if contract is None:
        return []
    lines = [(f"input {spec['name']}", _spec(spec)) for spec in contract.get("inputs") or []]
    lines.append(("inputs are", str(contract.get("preprocessing") or formats.MISSING)))
    lines += [(f"output {spec['name']}", _spec(spec)) for spec in contract.get("outputs") or []]
    names = contract.get("class_names")
    if names:
        lines.append(("classes", formats.class_names(names)))
    return lines


def rate(stage: Mapping[str, Any]) -> str:
    """Return the learning rate that a stage used, and whether it is the compiled one; `""` for none."""
    rates = stage.get("learning_rate") or {}
    used, compiled = rates.get("used"), rates.get("compiled")
    if not formats.is_number(used):
        return ""
    if not formats.is_number(compiled) or compiled == used:
        return f"{used:.3g}"
    share = used / compiled if compiled else 0.0
    part = "a tenth of the" if abs(share - 0.1) < 1e-6 else f"{share:.3g} of the"
    return f"{used:.3g} ({part} compiled {compiled:.3g})"


def settings(stage: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a stage was told, without what is empty, and the learning rate that it used."""
    config = stage.get("config") or {}
    told = {key: value for key, value in config.items() if key != "class" and not _is_empty(value)}
    told.pop("learning_rate", None)
    used = rate(stage) or config.get("learning_rate")
    return told | ({"learning rate": used} if used else {})


def _spec(spec: Mapping[str, Any]) -> str:
    shape = " x ".join("any" if size is None else str(size) for size in spec.get("shape") or [])
    text = f"{spec.get('dtype')}, {shape}"
    scale, zero = spec.get("scale"), spec.get("zero_point")
    if scale is None:
        return text
    offset = "" if not zero else f" {'-' if zero > 0 else '+'} {abs(zero)}"
    integer = f"(integer{offset})" if offset else "integer"
    return f"{text}, real = {scale:.6g} * {integer} (scale {scale:.6g}, zero point {zero})"


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | tuple | dict) and not value)


def _or_one(value: Any) -> float:
    return value if formats.is_number(value) else 1.0
