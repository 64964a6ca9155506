"""Printing runs, searches, tables and files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from tfopt.errors import RunError
from tfopt.report import terminal_table, trials_table, write_search_html

if TYPE_CHECKING:
    from tfopt.pipeline import Run
    from tfopt.run.search_record import SearchRecord

_WIDE = 120
"""Columns where nobody's terminal sets a limit: a file or a pipe."""


def print_rich(renderable: RenderableType) -> None:
    """Print a `rich` renderable to standard output, in colour only on a terminal."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDE)
    console.print(renderable)


def table(*headings: str) -> Table:
    """Return an empty table with these columns; a heading that ends in " >" is of a column of numbers."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for heading in headings:
        numbers = heading.endswith(">")
        made.add_column(heading.removesuffix(" >"), justify="right" if numbers else "left", no_wrap=numbers)
    return made


def show_run(run: Run) -> None:
    """Print the table of a run and where its files are."""
    print_rich(terminal_table(run.typed))
    click.echo()
    ships = ("model.tflite",) if run.complete else ()
    show_files(Path(run.path), (*ships, "report.html"))


def show_search(folder: Path, record: SearchRecord) -> None:
    """Print the table of a search and where its record, its page and its best trial's files are."""
    _write_page(folder, record)
    print_rich(trials_table(record))
    click.echo()
    show_files(folder, ("search.json", "report.html"))
    best = record.best_trial
    if best and best.run:
        show_files(Path(os.path.normpath(folder / best.run)), ("model.tflite", "report.html"))


def _write_page(folder: Path, record: SearchRecord) -> None:
    """Write `report.html` of a search, unless it is there and the search is complete.

    In a folder that cannot be written it stays as it is, which is said.
    """
    page, written = folder / "report.html", folder / "search.json"
    there = page.exists() and page.stat().st_size and page.stat().st_mtime >= written.stat().st_mtime
    if there and record.status == "complete":
        return
    try:
        write_search_html(folder, record)
    except RunError as error:
        click.echo(f"note: {error}", err=True)


def show_files(folder: Path, names: tuple[str, ...]) -> None:
    """Print the paths of those files that exist, one a line, so that a terminal can open them."""
    found: list[Any] = [folder / name for name in names if (folder / name).exists()]
    for path in found or [folder]:
        click.echo(path)
