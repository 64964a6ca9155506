"""Below the table of stages: warnings, classes, outputs, learning rates and what the file takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfopt.report import formats
from tfopt.report.table import metric_title, title
from tfopt.run.run_record import RunRecord
from tfopt.run.stage_record import ClassRecord, ContractRecord, StageRecord, TensorRecord


def class_rows(record: RunRecord, limit: int | None = None) -> list[tuple[str, str, str, str]]:
    """Return (class, samples, accuracy of the first stage, of the last) on the test split.

    Args:
        record: of the run.
        limit: how many, at most: then those that the last stage knows worst.
    """
    done = _by_class(record)
    if not done:
        return []
    pairs = list(zip(done[0][1], done[-1][1], strict=False))
    if limit is not None and len(pairs) > limit:
        pairs = sorted(pairs, key=lambda pair: _or_one(pair[1].accuracy))[:limit]
    return [
        (last.name, str(last.samples), formats.percent(first.accuracy), formats.percent(last.accuracy))
        for first, last in pairs
    ]


def class_titles(record: RunRecord) -> tuple[str, str]:
    """Return what the first and the last stage of `class_rows` are called."""
    done = _by_class(record)
    return (title(done[0][0]), title(done[-1][0])) if done else ("", "")


def output_rows(record: RunRecord) -> list[tuple[str, str, str, str]]:
    """Return (output, metric, first stage, last stage) for each metric of each of several outputs."""
    names = (record.model and record.model.outputs) or ()
    compared = [stage.metrics for stage in record.compared if stage.metrics]
    if len(names) < 2 or not compared:
        return []
    first, last = compared[0], compared[-1]
    rows = []
    for name in names:
        for key in last:
            owner = max((each for each in names if key.startswith(f"{each}_")), key=len, default=None)
            if owner == name:
                short = key.removeprefix(f"{name}_")
                before, after = (formats.metric(each.get(key), key) for each in (first, last))
                rows.append((name, metric_title(short), before, after))
    return rows


def width_rows(record: RunRecord) -> list[tuple[str, str, str]]:
    """Return (layers, channels before, after) of each group that a stage took channels from or left."""
    rows = []
    for stage in record.stages:
        pruned = stage.extra.get("channels")
        widths = pruned.get("widths") if isinstance(pruned, Mapping) else None
        for group in widths if isinstance(widths, Sequence) else ():
            if isinstance(group, Mapping):
                layers = group.get("layers")
                named = ", ".join(map(str, layers)) if isinstance(layers, Sequence) else formats.MISSING
                rows.append((named, _whole(group.get("before")), _whole(group.get("after"))))
    return rows


def size_rows(record: RunRecord) -> list[tuple[str, ...]]:
    """Return (stage, size, gzip, sparse-encoded, at the Shannon bound, zeros, values) of each file.

    Zeros and values, the most different ones of a weight tensor, are read back from the file.
    """
    return [
        (
            title(stage),
            formats.size(stage.bytes),
            formats.size(stage.compressed_bytes),
            formats.size(stage.weights.sparse_bytes),
            formats.size(stage.weights.entropy_bytes),
            formats.percent(stage.weights.sparsity, 1),
            formats.count(stage.weights.clusters),
        )
        for stage in record.measured
        if stage.weights
    ]


def contract_of(record: RunRecord) -> ContractRecord | None:
    """Return the contract of the file that a run ships; `None` where it has none."""
    return next((stage.contract for stage in reversed(record.stages) if stage.contract), None)


def contract_lines(contract: ContractRecord | None) -> list[tuple[str, str]]:
    """Return (name, text) of what a file takes and returns, and what is done to the inputs before."""
    if contract is None:
        return []
    lines = [(f"input {tensor.name}", _tensor(tensor)) for tensor in contract.inputs]
    lines.append(("inputs are", contract.preprocessing or formats.MISSING))
    lines += [(f"output {tensor.name}", _tensor(tensor)) for tensor in contract.outputs]
    if contract.class_names:
        lines.append(("classes", formats.class_names(contract.class_names)))
    return lines


def rate(stage: StageRecord) -> str:
    """Return the learning rate that a stage used, and whether it is the compiled one; `""` for none."""
    if stage.learning_rate is None or not formats.is_number(stage.learning_rate.used):
        return ""
    used, compiled = stage.learning_rate.used, stage.learning_rate.compiled
    if not formats.is_number(compiled) or compiled == used:
        return f"{used:.3g}"
    share = used / compiled if compiled else 0.0
    part = "a tenth of the" if abs(share - 0.1) < 1e-6 else f"{share:.3g} of the"
    return f"{used:.3g} ({part} compiled {compiled:.3g})"


def settings(stage: StageRecord) -> dict[str, Any]:
    """Return what a stage was told, without what is empty, and the learning rate that it used."""
    told = {key: value for key, value in stage.config.items() if key != "class" and not _is_empty(value)}
    told.pop("learning_rate", None)
    used = rate(stage) or stage.config.get("learning_rate")
    told |= {"learning rate": used} if used else {}
    return told | ({"waited for data": f"{waited} of the training"} if (waited := data_wait(stage)) else {})


def data_wait(stage: StageRecord) -> str:
    """Return the share of the training in which a stage waited for data; `""` where it is not known."""
    if not formats.is_number(stage.data_wait):
        return ""
    return formats.percent(stage.data_wait, 1)


def _by_class(record: RunRecord) -> list[tuple[StageRecord, tuple[ClassRecord, ...]]]:
    """Return the complete stages whose accuracy of each class is known, with these."""
    return [(stage, stage.classes) for stage in record.compared if stage.classes]


def _tensor(tensor: TensorRecord) -> str:
    shape = " x ".join("any" if size is None else str(size) for size in tensor.shape)
    text = f"{tensor.dtype}, {shape}"
    scale, zero = tensor.scale, tensor.zero_point
    if scale is None:
        return text
    offset = "" if not zero else f" {'-' if zero > 0 else '+'} {abs(zero)}"
    integer = f"(integer{offset})" if offset else "integer"
    return f"{text}, real = {scale:.6g} * {integer} (scale {scale:.6g}, zero point {zero})"


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | tuple | dict) and not value)


def _whole(value: Any) -> str:
    return str(value) if formats.is_number(value) else formats.MISSING


def _or_one(value: Any) -> float:
    return value if formats.is_number(value) else 1.0
