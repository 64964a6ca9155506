"""The folder of a search: its record, and the trials that it holds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from tfopt.errors import RunError
from tfopt.files import read_json
from tfopt.run.owners import living
from tfopt.run.search_record import READABLE, SearchRecord, TrialRecord

FILE = "search.json"


def read(path: Path) -> SearchRecord:
    """Return the record of the search in the folder `path`.

    Raises:
        RunError: there is none, or it is not one.
    """
    file = path / FILE
    try:
        content = read_json(file)
    except OSError as error:
        raise RunError(f"Cannot read {file}: {error.strerror}. Name the folder of a search.") from error
    except ValueError as error:
        raise _damaged(file, error) from error
    if not isinstance(content, dict) or content.get("schema") not in READABLE:
        versions = " or ".join(map(str, READABLE))
        raise RunError(
            f"{file} is not a search that this version of tfopt reads (expected schema {versions})."
        )
    try:
        record = SearchRecord.from_json(content)
    except ValueError as error:
        raise _damaged(file, error) from error
    if record.status == "running" and living(path) == []:
        return dataclasses.replace(record, status="interrupted")
    return record


def searches_in(folder: Path) -> list[Path]:
    """Return the folders of searches below `folder`, the one that was written last first."""
    files = sorted(folder.glob(f"*/{FILE}"), key=lambda file: file.stat().st_mtime, reverse=True)
    return [file.parent for file in files]


def find_trial(where: str | Path, folder: Path) -> tuple[Path, SearchRecord, TrialRecord]:
    """Return the folder of a search, its record, and the trial that a user means.

    Args:
        where: the folder of a search and the number of a trial, `saved_models/digits/search-12ab34cd/7`; the
            folder alone for its best trial; or the number alone, of the last search in `folder`.
        folder: of searches.

    Raises:
        RunError: there is no such search or no such trial.
    """
    path, number = Path(where), None
    if path.name.isdecimal() and not (path / FILE).exists():
        number, path = int(path.name), path.parent
        if len(Path(where).parts) == 1:
            found = searches_in(folder)
            if not found:
                raise RunError(
                    f"There is no search in {folder} whose trial {number} could be taken: name its folder, "
                    f"such as saved_models/digits/search-12ab34cd/{number}."
                )
            path = found[0]
    record = read(path)
    if number is None:
        number = record.best
        if number is None:
            raise RunError(f"The search {path} has no best trial: name one, such as {path}/1.")
    trials = {trial.number: trial for trial in record.trials}
    if number not in trials:
        have = f"trials 1 to {max(trials)}" if trials else "no trials yet"
        raise RunError(f"The search {path} has no trial {number}; it has {have}.")
    return path, record, trials[number]


def _damaged(file: Path, reason: Exception) -> RunError:
    return RunError(
        f"The record {file} is damaged ({reason}). Delete it and search again: runs that are complete are "
        "not repeated."
    )
