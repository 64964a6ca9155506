"""The report in a terminal, of any width."""

import io
from collections.abc import Mapping
from typing import Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from tfopt.report import formats
from tfopt.report.details import (
    class_rows,
    class_titles,
    contract_lines,
    contract_of,
    data_wait,
    output_rows,
    rate,
)
from tfopt.report.outcome import outcome, verdict
from tfopt.report.table import Column, heading, main_metric, rows, title
from tfopt.report.table import columns as columns_of
from tfopt.run.run_record import RunRecord

_STATUS_STYLE = {
    "complete": "green",
    "running": "yellow",
    "interrupted": "yellow",
    "stopped": "yellow",
    "damaged": "red",
    "failed": "red",
}


def terminal_table(record: RunRecord | Mapping[str, Any]) -> RenderableType:
    """Return the report of a run for a `rich` console.

    Args:
        record: of the run, or the content of its `run.json`. What it lacks is shown as missing.
    """
    record = RunRecord.of(record)
    seed = formats.MISSING if record.seed is None else record.seed
    head = Text.assemble(
        (record.name or "run", "bold"),
        f"  {record.id or ''}  ",
        (record.status, _STATUS_STYLE.get(record.status, "")),
        f"  {formats.seconds(record.seconds)}, seed {seed}",
    )
    return Group(
        head,
        Text(),
        _StageTable(record),
        Text(),
        Text(verdict(record), style="bold red" if outcome(record) == "bad" else "bold"),
        *(Text(f"Warning: {each}", style="yellow") for each in record.warnings),
        Text(_conditions(record), style="dim"),
        *_details(record),
    )


def text(record: RunRecord | Mapping[str, Any], width: int | None = None) -> str:
    """Return the report of a run as plain text.

    Args:
        record: of the run, or the content of its `run.json`.
        width: columns of the terminal. `None`: wide enough for the whole table.
    """
    console = Console(file=io.StringIO(), width=width or 120, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(terminal_table(record))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


class _StageTable:
    """The table of stages, which leaves out columns where it would not fit, and says which."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, hidden, gap = list(columns_of(self.record)), list[Column](), 2
        while self._width(console, options, columns, gap) > options.max_width:
            last = max(columns, key=lambda column: column.priority)
            if gap > 1:
                gap = 1
            elif last.priority:
                columns.remove(last)
                hidden.append(last)
            else:
                break
        yield self._table(columns, gap)
        if hidden:
            names = ", ".join(column.title for column in reversed(hidden))
            yield Text(f"Too narrow to show: {names}", style="dim")

    def _table(self, columns: list[Column], gap: int) -> Table:
        # The box itself puts one blank between two columns.
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, gap - 1, 0, 0))
        for column in columns:
            table.add_column(
                heading(column, self.record),
                justify="right" if column.right else "left",
                no_wrap=column.right,
                min_width=None if column.right else 8,
            )
        for cells in rows(self.record, tuple(columns)):
            table.add_row(*map(Text, cells))
        return table

    def _width(self, console: Console, options: ConsoleOptions, columns: list[Column], gap: int) -> int:
        unlimited = options.update(width=1000)
        return Measurement.get(console, unlimited, self._table(columns, gap)).maximum


_CLASSES = 12
"""How many classes are listed, the worst of them where there are more; the page lists all."""


def _details(record: RunRecord) -> list[RenderableType]:
    """Return tables of outputs and classes, and what the file takes, where the record has them."""
    first, last = class_titles(record)
    done = [title(stage) for stage in record.measured if stage.metrics]
    found = output_rows(record)
    parts: list[RenderableType] = []
    if found:
        parts += [Text(), _small(("Output", "Metric", done[0], done[-1]), found)]
    if found := class_rows(record, _CLASSES):
        parts += [Text(), _small(("Class", "Samples", first, last), found)]
    if lines := contract_lines(contract_of(record)):
        parts += [Text(), *(Text(f"{name}: {text}", style="dim") for name, text in lines)]
    return parts


def _small(headings: tuple[str, ...], lines: list[tuple[str, str, str, str]]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, heading_ in enumerate(headings):
        table.add_column(heading_, justify="right" if number > 1 else "left")
    for cells in lines:
        table.add_row(*map(Text, cells))
    return table


def _conditions(record: RunRecord) -> str:
    """Return on what the metrics were measured: numbers without their conditions are not honest."""
    parts = []
    if record.data and record.data.test:
        name = main_metric(record)
        what = "accuracy" if name.endswith("accuracy") else name.replace("_", " ")
        parts.append(f"{what} on {record.data.test} held-out samples")
    if any(stage.latency for stage in record.measured):
        cpu = (record.environment and record.environment.cpu) or "this machine"
        parts.append(f"latency as a ratio to the first file, one thread, {cpu}")
    taken = [f"{title(stage)} from {stage.taken_from}" for stage in record.stages if stage.taken_from]
    if taken:
        own = formats.seconds(record.own_seconds)
        parts.append(f"taken from other runs: {', '.join(taken)}, so that this one took {own}")
    rates = [f"{title(stage)} {rate(stage)}" for stage in record.stages if rate(stage)]
    if rates:
        parts.append(f"learning rate: {', '.join(rates)}")
    waits = [f"{title(stage)} {data_wait(stage)}" for stage in record.stages if data_wait(stage)]
    if waits:
        parts.append(f"share of the training that waited for data: {', '.join(waits)}")
    said = "; ".join(parts)
    return said[:1].upper() + said[1:]
