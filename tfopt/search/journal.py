"""`search.json`: what a search has found so far, whole after every trial."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tfopt.errors import RunError
from tfopt.files import write_atomically
from tfopt.run.run_folder import is_being_written
from tfopt.search.front import non_dominated
from tfopt.search.goal import Goal

FILE = "search.json"


class Journal:
    """The record of a search, in memory and in its folder.

    Args:
        path: the folder of the search. A record that lies there is continued.
        goal: what the search is after.
        about: what else the record says: name, recipe, seed, command.
    """

    def __init__(self, path: Path, goal: Goal, about: dict[str, Any]) -> None:
        self.path = path
        self.goal = goal
        self.record: dict[str, Any] = {
            "schema": 1,
            "created": _now(),
            "finished": None,
            "seconds": 0.0,
            "goal": {"metric": goal.metric, "direction": goal.direction, "keep": dict(goal.keep)},
            "baseline": None,
            "best": None,
            "front": [],
            "trials": [],
        }
        if (path / FILE).exists():
            self.record = read(path)
        self.record |= {**about, "status": "running"}

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The entries of the trials, by number."""
        return self.record["trials"]

    def begin(self, number: int) -> dict[str, Any]:
        """Add a trial that begins, or begins again, and return its entry."""
        entry = {
            "number": number,
            "status": "running",
            "reason": None,
            "values": {},
            "figures": {},
            "run": None,
        }
        self.record["trials"] = sorted(
            [entry, *(trial for trial in self.trials if trial["number"] != number)],
            key=lambda trial: trial["number"],
        )
        self.write()
        return entry

    def end(self, entry: dict[str, Any], started: float) -> None:
        """Take note that the trial of `entry` ended; `started` is its `time.monotonic()`."""
        entry["seconds"] = round(time.monotonic() - started, 3)
        self.record["seconds"] = round(self.record["seconds"] + entry["seconds"], 3)
        self._weigh()
        self.write()

    def close(self) -> None:
        """Take note that the search is complete."""
        self.record |= {"status": "complete", "finished": _now()}
        self._weigh()
        self.write()

    def write(self) -> None:
        """Write `search.json`."""
        write_atomically(self.path / FILE, json.dumps(self.record, indent=1))

    def relative(self, path: Path) -> str:
        """Return `path` as it is written into the record: relative to the search's folder."""
        return Path(os.path.relpath(path, self.path)).as_posix()

    def _weigh(self) -> None:
        """Decide which trials are feasible, which is the best and which no other one dominates."""
        baseline = self.record["baseline"] or {}
        complete = [trial for trial in self.trials if trial["status"] == "complete"]
        for trial in complete:
            trial["feasible"] = self.goal.feasible(trial["figures"], baseline)
        feasible = [trial for trial in complete if trial["feasible"]]
        ranked = sorted(feasible, key=self._rank)
        self.record["best"] = ranked[0]["number"] if ranked else None
        front = non_dominated([trial["figures"] for trial in feasible])
        self.record["front"] = [feasible[i]["number"] for i in front]

    def _rank(self, trial: dict[str, Any]) -> tuple[float, float, int]:
        score = self.goal.score(trial["figures"], self.record["baseline"] or {})
        return score, -(trial["figures"].get("accuracy") or 0.0), trial["number"]


def read(path: Path) -> dict[str, Any]:
    """Return the record of the search in the folder `path`.

    Raises:
        RunError: there is none, or it is not one.
    """
    file = path / FILE
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"Cannot read {file}: {error.strerror}. Name the folder of a search.") from error
    except ValueError as error:
        raise RunError(
            f"The record {file} is damaged ({error}). Delete it and search again: runs that are complete are "
            "not repeated."
        ) from error
    if not isinstance(record, dict) or record.get("schema") != 1:
        raise RunError(f"{file} is not a search that this version of tfopt reads (expected schema 1).")
    if record.get("status") == "running" and is_being_written(path) is False:
        record["status"] = "interrupted"
    return record


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
