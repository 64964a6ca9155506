"""The table of stages: its columns and the content of its cells, for the terminal and the page."""

from collections.abc import Callable
from dataclasses import dataclass

from tfopt.report.formats import MISSING, count, is_number, metric, percent, ratio, size
from tfopt.run.run_record import RunRecord
from tfopt.run.stage_record import StageRecord


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of the table of stages."""

    title: str
    meaning: str
    cell: Callable[[StageRecord, str], str]
    """Takes a stage and the name of the main metric."""
    priority: int = 0
    """Where the terminal is too narrow, columns of the highest number go first; 0 always stays."""
    right: bool = True


def _accuracy(stage: StageRecord, name: str) -> str:
    return metric(metric_of(stage, name), name)


def _latency(stage: StageRecord, _: str) -> str:
    return ratio(latency_ratio(stage))


def _agreement(stage: StageRecord, _: str) -> str:
    return percent(stage.verification.top1_agreement if stage.verification else None)


def _title(stage: StageRecord, _: str) -> str:
    return title(stage)


COLUMNS = (
    Column(title="Stage", meaning="What the model has been through.", cell=_title, right=False),
    Column(title="Accuracy", meaning="On held-out data that no stage saw.", cell=_accuracy),
    Column(
        title="Size",
        meaning="Of the TFLite file.",
        cell=lambda stage, _: size(stage.bytes),
        priority=1,
    ),
    Column(
        title="gzip",
        meaning="The same file compressed, as it travels.",
        cell=lambda stage, _: size(stage.compressed_bytes),
        priority=5,
    ),
    Column(
        title="Sparsity",
        meaning="Share of zeros among the weights that can be pruned.",
        cell=lambda stage, _: percent(stage.sparsity, 1),
        priority=4,
    ),
    Column(
        title="MACs",
        meaning="Multiplications with addition for one sample.",
        cell=lambda stage, _: count(stage.macs),
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


def title(stage: StageRecord) -> str:
    """Return what the report calls `stage`, and that it is not complete where it is not."""
    name = stage.title or stage.name or "?"
    return name if stage.is_complete else f"{name} ({stage.status})"


def metric_of(stage: StageRecord, name: str) -> float | None:
    """Return the value of a metric of a stage on the test split; `None` where it has none."""
    return (stage.metrics or {}).get(name)


def latency_ratio(stage: StageRecord) -> float | None:
    """Return the latency of a stage's file by the first one's; `None` where it was not measured."""
    return stage.latency.ratio if stage.latency else None


def main_metric(record: RunRecord) -> str:
    """Return the metric that the report leads with: an accuracy, else the first metric, else the loss."""
    names = [name for stage in record.stages for name in stage.metrics or {}]
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


def rows(record: RunRecord, columns: tuple[Column, ...] = COLUMNS) -> list[list[str]]:
    """Return the cells of the table, one list for each stage."""
    name = main_metric(record)
    return [[_cell(column, stage, name) for column in columns] for stage in record.stages]


def _cell(column: Column, stage: StageRecord, name: str) -> str:
    """Return a cell; a stage that is not complete has a title only, because nothing of it ships."""
    return column.cell(stage, name) if column.cell is _title or stage.is_complete else MISSING


def columns(record: RunRecord) -> tuple[Column, ...]:
    """Return the columns for a run: where no class is chosen, none is agreed on."""
    return tuple(column for column in COLUMNS if column.cell is not _agreement or chooses_classes(record))


def chooses_classes(record: RunRecord) -> bool:
    """Return whether the model of a run chooses classes, so that files can agree on them."""
    if record.data is None or record.data.num_classes is not None:
        return True
    return any(is_number(stage.verification.top1_agreement) for stage in record.stages if stage.verification)


def heading(column: Column, record: RunRecord) -> str:
    """Return the heading of `column`: the accuracy's is the name of the main metric."""
    return metric_title(main_metric(record)) if column.cell is _accuracy else column.title
