"""`tfopt report`: the results of runs and searches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tfopt.cli.options import common_options
from tfopt.cli.show import print_rich, show_files, show_run, show_search, table
from tfopt.errors import RunError
from tfopt.files import write_atomically
from tfopt.run.search_folder import read

if TYPE_CHECKING:
    from tfopt.pipeline import Run

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(short_help="Show runs and searches.")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--open", "open_page", is_flag=True, help="Open report.html in the browser.")
@click.option("--csv", "csv_file", type=_FILE, help="Write the trials of a search to this file.")
@click.option("--json", "json_file", type=_FILE, help="Write the trials of a search to this file.")
@common_options
def report(path: Path, open_page: bool, csv_file: Path | None, json_file: Path | None) -> None:
    """Show the run, the search or the latest of the runs in PATH."""
    folder = path if path.is_dir() else path.parent
    if csv_file or json_file:
        _write_trials(folder, csv_file, json_file)
        return
    if (folder / "search.json").is_file():
        _show_search(folder, open_page)
        return
    runs, unreadable = _runs(folder)
    searches = sorted(folder.glob("*/search.json"), key=lambda record: record.stat().st_mtime, reverse=True)
    if not runs and not searches:
        if unreadable:
            raise next(iter(unreadable.values()))
        raise RunError(
            f"There is no run in {folder}: expected run.json there or in its folders. "
            "Make one with: tfopt run recipes/digits.py"
        )
    if not runs:
        _show_search(searches[0].parent, open_page)
        return
    latest, *others = runs
    page = _up_to_date_page(latest)
    show_run(latest)
    if others or unreadable:
        _show_others(others, unreadable, folder)
    if searches:
        click.echo("\nSearches:")
        show_files(folder, tuple(str(search.parent.relative_to(folder)) for search in searches))
    if open_page:
        _open(page)


def _show_search(folder: Path, open_page: bool) -> None:
    show_search(folder, read(folder))
    if open_page:
        _open(folder / "report.html")


def _open(page: Path) -> None:
    if not page.exists():
        raise RunError(f"There is no {page} to open.")
    click.launch(str(page))


def _write_trials(folder: Path, csv_file: Path | None, json_file: Path | None) -> None:
    """Write the trials of the search in a folder, and print where."""
    from tfopt.report.trial_rows import as_csv, as_json

    if not (folder / "search.json").is_file():
        raise RunError(
            f"There is no search in {folder}: --csv and --json write the trials of a search. "
            "Name its folder, search-<id>, which holds search.json."
        )
    record = read(folder)
    for file, write in ((csv_file, as_csv), (json_file, as_json)):
        if file:
            write_atomically(file, write(record))
            click.echo(file)


def _runs(folder: Path) -> tuple[list[Run], dict[Path, RunError]]:
    """Return the runs at or in `folder`, latest first, and folder -> error of those that are unreadable."""
    from tfopt.pipeline import Run
    from tfopt.pipeline.run import runs_in

    if (folder / "run.json").is_file():
        return [Run.load(folder)], {}
    runs, unreadable = runs_in(folder)
    return sorted(runs, key=lambda run: run.typed.created or "", reverse=True), unreadable


def _up_to_date_page(run: Run) -> Path:
    """Return `report.html`, written now where a run that was cut off has none or an older one.

    In a folder that cannot be written it stays as it is, which is said.
    """
    page, record = Path(run.path) / "report.html", Path(run.path) / "run.json"
    if page.exists() and page.stat().st_size and page.stat().st_mtime >= record.stat().st_mtime:
        return page
    from tfopt.report import write_html

    try:
        return write_html(Path(run.path), run.typed)
    except RunError as error:
        click.echo(f"note: {error}", err=True)
        return page


def _show_others(runs: list[Run], unreadable: dict[Path, RunError], folder: Path) -> None:
    from tfopt.report.formats import moment
    from tfopt.report.outcome import verdict

    rows = table("Folder", "Begun", "Outcome")
    for run in runs:
        where = str(Path(run.path).relative_to(folder))
        rows.add_row(where, moment(run.typed.created), verdict(run.typed))
    for path, error in unreadable.items():
        rows.add_row(str(path.relative_to(folder)), "", f"Unreadable: {error}")
    click.echo("\nEarlier runs:" if runs else "\nOther runs:")
    print_rich(rows)
