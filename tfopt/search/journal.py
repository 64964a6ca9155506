"""`search.json`: what a search has found so far, whole after every trial."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfopt.errors import InvalidArgumentError
from tfopt.files import keep_previous, write_atomically
from tfopt.run.environment import now
from tfopt.run.search_folder import FILE, read
from tfopt.run.search_record import SCHEMA, BaselineRecord, SearchRecord, TrialRecord
from tfopt.search.goals.analysis import described, goal_of, weighed
from tfopt.search.goals.goal import Goal


class Journal:
    """The record of a search, in memory and in its folder.

    Args:
        path: the folder of the search. A record that is there is continued.
        goal: what the search is after.
        about: what else the record says: name, id, recipe, seed, requested_trials and command.

    Raises:
        InvalidArgumentError: the search in the folder has another goal.
    """

    def __init__(self, path: Path, goal: Goal, about: Mapping[str, Any]) -> None:
        self.path = path
        self.goal = goal
        self._about = about
        self._since, self._searched = time.monotonic(), 0.0
        self.reread()

    def reread(self) -> None:
        """Take what is in the folder: who waited for its lock may find more there than before."""
        record = read(self.path) if (self.path / FILE).exists() else SearchRecord(created=now())
        if record.goal is not None and goal_of(record) != self.goal:
            raise InvalidArgumentError(
                f"The search in {self.path} is to {goal_of(record).describe()}, not to "
                f"{self.goal.describe()}: give this one another folder with --out (out=)."
            )
        # Others may have written long ago: the clock of this process goes on meanwhile.
        self._searched = max(self.searched, record.searched)
        self._since = time.monotonic()
        self.record = dataclasses.replace(
            record, **{**self._about, "schema": SCHEMA, "goal": described(self.goal)}
        )

    def open(self) -> None:
        """Take note that the search runs."""
        self.record = dataclasses.replace(self.record, status="running", stopped=None)
        self.write()

    def begin(self, number: int) -> TrialRecord:
        """Add a trial that begins, or begins or goes on again, and return its record."""
        before = next((each for each in self.record.trials if each.number == number), None)
        spent = before.seconds if before is not None and before.status == "stopped" else None
        trial = TrialRecord(number=number, status="running", seconds=spent)
        self.record = dataclasses.replace(self.record.with_trial(trial), status="running")
        self.write()
        return trial

    def compare_with(self, baseline: BaselineRecord) -> None:
        """Take note of what the trials are compared with."""
        self.record = dataclasses.replace(self.record, baseline=baseline)

    def judged(self, trial: TrialRecord) -> dict[str, float]:
        """Return what a sampler is told of a trial: its objectives, and how much it misses each constraint.

        Raises:
            UnfitGoalError: the run does not measure one of them.
        """
        self.goal.check(trial.metrics)
        found = {name: float(trial.metrics[name] or 0.0) for name in self.goal.metrics}
        if self.record.baseline is None:
            return found
        return {**found, **self.goal.violations(trial.metrics, self.record.baseline)}

    def end(self, trial: TrialRecord, seconds: float) -> TrialRecord:
        """Take note that a trial ended, and return its record as it is now."""
        seconds = round(seconds, 3)
        all_seconds = round((trial.seconds or 0.0) + seconds, 3)
        record = self.record.with_trial(dataclasses.replace(trial, seconds=all_seconds))
        record = weighed(
            dataclasses.replace(
                record, seconds=round(record.seconds + seconds, 3), searched=round(self.searched, 3)
            ),
            self.goal,
        )
        ended = dataclasses.replace(record.trial(trial.number), hypervolume=record.hypervolume)
        self.record = record.with_trial(ended)
        self.write()
        return ended

    def close(self, stopped: str | None = None) -> None:
        """Take note that the search is complete.

        Args:
            stopped: which of its budgets was used up before the trials were.
        """
        record = dataclasses.replace(self.record, status="complete", finished=now(), stopped=stopped)
        self.record = weighed(dataclasses.replace(record, searched=round(self.searched, 3)), self.goal)
        self.write()

    @property
    def searched(self) -> float:
        """Seconds of the clock while the search ran, over all of its parts."""
        return self._searched + time.monotonic() - self._since

    def write(self) -> None:
        """Write `search.json`."""
        keep_previous(self.path / FILE)
        write_atomically(self.path / FILE, json.dumps(self.record.to_json(), indent=1))

    def relative(self, path: Path) -> str:
        """Return `path` as it is written into the record: relative to the search's folder."""
        return Path(os.path.relpath(path, self.path)).as_posix()
