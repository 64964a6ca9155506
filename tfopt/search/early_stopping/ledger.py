"""What is known of the trials at their rungs: a file for each, which the process that trains it writes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tfopt.errors import RunError
from tfopt.files import write_atomically
from tfopt.run.json_record import OMITTED, Record

FOLDER = "rungs"
"""In the folder of a search."""


@dataclass(frozen=True, kw_only=True)
class RungRecord(Record):
    """A trial at a rung.

    Attributes:
        epochs: after which it was compared with others.
        metrics: what was known of it then, by name; `None` for what was not measured.
    """

    epochs: int = 0
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Entry(Record):
    """What is known of one trial.

    Attributes:
        run: the name of its run's folder.
        bracket: how many of the first rungs it passes without being compared.
        rungs: number of a rung, from "0" -> the trial there.
        passed: how many rungs it has passed.
        stopped: the number of the rung where it stopped; `None` where it did not.
        final: what its file reached, by the names of `RungRecord.metrics`; `None` before it is complete.
    """

    run: str = ""
    bracket: int = 0
    rungs: Mapping[str, RungRecord] = field(default_factory=dict)
    passed: int = 0
    stopped: int | None = field(default=None, metadata=OMITTED)
    final: Mapping[str, float | None] | None = field(default=None, metadata=OMITTED)

    def at(self, rung: int) -> RungRecord | None:
        """Return the trial at a rung; `None` where it was not compared there."""
        return self.rungs.get(str(rung))

    def reaching(self, rung: int, record: RungRecord) -> Entry:
        """Return the entry of a trial that has come to a rung."""
        return dataclasses.replace(self, rungs={**self.rungs, str(rung): record})

    def passing(self, rung: int) -> Entry:
        """Return the entry of a trial that goes on beyond a rung."""
        return dataclasses.replace(self, passed=max(self.passed, rung + 1), stopped=None)

    def stopping(self, rung: int) -> Entry:
        """Return the entry of a trial that stopped at a rung."""
        return dataclasses.replace(self, stopped=rung)


class Ledger:
    """The entries of the trials of a search.

    Args:
        folder: of the search.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / FOLDER

    def entries(self) -> dict[str, Entry]:
        """Return name of a run -> its entry, of all trials that came to a rung.

        Raises:
            RunError: a file cannot be read.
        """
        found = (self._read(file) for file in sorted(self._folder.glob("[!.]*.json")))
        return {entry.run: entry for entry in found}

    def entry(self, run: str) -> Entry | None:
        """Return the entry of a run, if it has one."""
        file = self._file(run)
        return self._read(file) if file.exists() else None

    def write(self, entry: Entry) -> None:
        """Write an entry."""
        write_atomically(self._file(entry.run), json.dumps(entry.to_json()))

    def _file(self, run: str) -> Path:
        return self._folder / f"{run}.json"

    def _read(self, file: Path) -> Entry:
        try:
            return Entry.from_json(json.loads(file.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise RunError(
                f"Cannot read {file} ({error}). Delete it: its trial is then compared with the others again."
            ) from error
