"""The table of stages: which columns it has and what stands in a cell. Terminal and page share it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tfopt.report.formats import MISSING, count, is_number, metric, percent, ratio, size

Stage = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table of stages."""

    title: str
    meaning: str
    cell: Callable[[Stage, str], str]
    """Takes an entry of `run.json`'s `stages` and the name of the main metric."""
    priority: int = 0
    """Where the terminal is too narrow, columns of the highest number go first; 0 always stays."""
    right: bool = True


def _accuracy(stage: Stage, name: str) -> str:
    return metric((stage.get("metrics") or {}).get(name), name)


def _latency(stage: Stage, _: str) -> str:
    return ratio((stage.get("latency") or {}).get("ratio"))


def _agreement(stage: Stage, _: str) -> str:
    return percent((stage.get("verification") or {}).get("top1_agreement"))


def _title(stage: Stage, _: str) -> str:
    return title(stage)


COLUMNS = (
    Column(title="Stage", meaning="What the model has been through.", cell=_title, right=False),
    Column(title="Accuracy", meaning="On held-out data that no stage saw.", cell=_accuracy),
    Column(
        title="Size",
        meaning="Of the TFLite file.",
        cell=lambda stage, _: size(stage.get("bytes")),
        priority=1,
    ),
    Column(
        title="gzip",
        meaning="The same file compressed, as it travels.",
        cell=lambda stage, _: size(stage.get("compressed_bytes")),
        priority=5,
    ),
    Column(
        title="Sparsity",
        meaning="Share of zeros among the weights that can be pruned.",
        cell=lambda stage, _: percent(stage.get("sparsity"), 1),
        priority=4,
    ),
    Column(
        title="MACs",
        meaning="Multiplications with addition for one sample.",
        cell=lambda stage, _: count(stage.get("macs")),
        priority=6,
    ),
    Column(
        title="Latency",
        meaning="In LiteRT, as a ratio to the first file: below 1 is faster, above 1 slower.",
        cell=_latency,
        priority=2,
    ),
    Column(
        title="Same class",
        meaning="How often the file and its model choose the same class.",
        cell=_agreement,
        priority=3,
    ),
)


def title(stage: Stage) -> str:
    """Return what the report calls `stage`, and that it is not complete where it is not."""
    name = str(stage.get("title") or stage.get("name") or "?")
    status = stage.get("status", "complete")
    return name if status == "complete" else f"{name} ({status})"


def stages(record: Mapping[str, Any]) -> list[Stage]:
    """Return the entries of the stages of a run, in order."""
    return list(record.get("stages") or [])


def number_of(stage: Stage) -> int | None:
    """Return a stage's number, the same as in the name of its folder; 0 for the model as given.

    `None` in records that do not say.
    """
    if "number" in stage:
        return int(stage["number"])
    return 0 if stage.get("name") == "start" else None


def numbered(record: Mapping[str, Any]) -> list[tuple[int, Stage]]:
    """Return (number, stage) of the stages of a run, in order."""
    found = stages(record)
    first = 0 if found and number_of(found[0]) == 0 else 1
    return list(enumerate(found, first))


def measured(record: Mapping[str, Any]) -> list[Stage]:
    """Return the stages that are complete."""
    return [stage for stage in stages(record) if stage.get("status", "complete") == "complete"]


def main_metric(record: Mapping[str, Any]) -> str:
    """Return the metric that the report leads with: an accuracy, else the first metric, else the loss."""
    names = [name for stage in stages(record) for name in stage.get("metrics") or {}]
    accuracies = [name for name in names if name.endswith("accuracy")]
    others = [name for name in names if not name.endswith("loss")]
    if accuracies:
        return "accuracy" if "accuracy" in accuracies else accuracies[0]
    if others:
        return others[0]
    return "loss" if names else "accuracy"


def metric_title(name: str) -> str:
    """Return a metric's name as a heading: `"mean_absolute_error"` -> `"Mean absolute error"`."""
    return name.replace("_", " ").capitalize()


def rows(record: Mapping[str, Any], columns: tuple[Column, ...] = COLUMNS) -> list[list[str]]:
    """Return the cells of the table, one list a stage."""
    name = main_metric(record)
    return [[_cell(column, stage, name) for column in columns] for stage in stages(record)]


def _cell(column: Column, stage: Stage, name: str) -> str:
    """Return a cell; of a stage that is not complete no figure counts, for nothing of it ships."""
    if column.cell is _title or stage.get("status", "complete") == "complete":
        return column.cell(stage, name)
    return MISSING


def columns(record: Mapping[str, Any]) -> tuple[Column, ...]:
    """Return the columns for a run: where no class is chosen, none is agreed on."""
    return tuple(column for column in COLUMNS if column.cell is not _agreement or chooses_classes(record))


def chooses_classes(record: Mapping[str, Any]) -> bool:
    """Return whether the model of a run chooses classes, so that files can agree on them."""
    known = (record.get("data") or {}).get("num_classes", 0)
    if known is not None:
        return True
    checks = (stage.get("verification") or {} for stage in stages(record))
    return any(is_number(check.get("top1_agreement")) for check in checks)


def heading(column: Column, record: Mapping[str, Any]) -> str:
    """Return the heading of `column`: the accuracy's is the name of the main metric."""
    return metric_title(main_metric(record)) if column.cell is _accuracy else column.title
