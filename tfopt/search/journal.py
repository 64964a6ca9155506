"""`search.json`: what a search has found so far, whole after every trial."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tfopt.errors import RunError
from tfopt.files import write_atomically
from tfopt.run.environment import now
from tfopt.run.run_folder import is_being_written
from tfopt.run.search_record import SCHEMA, BaselineRecord, GoalRecord, SearchRecord, TrialRecord
from tfopt.search.front import non_dominated
from tfopt.search.goal import DIRECTIONS, Goal, Metrics

FILE = "search.json"

VIOLATION = "violation"
"""By how much a trial misses what must be kept, as the metric that samplers constrain."""


class Journal:
    """The record of a search, in memory and in its folder.

    Args:
        path: the folder of the search. A record that is there is continued.
        goal: what the search is after.
        about: what else the record says: name, id, recipe, seed, requested_trials and command.
    """

    def __init__(self, path: Path, goal: Goal, about: Mapping[str, Any]) -> None:
        self.path = path
        self.goal = goal
        self._about = about
        self.reread()

    def reread(self) -> None:
        """Take what is in the folder: who waited for its lock may find more there than before."""
        goal = self.goal
        if (self.path / FILE).exists():
            record = read(self.path)
        else:
            several = {name: DIRECTIONS[name] for name in goal.metrics} if len(goal.metrics) > 1 else None
            described = GoalRecord(
                metric=goal.metric, direction=goal.direction, keep=dict(goal.keep), objectives=several
            )
            record = SearchRecord(created=now(), goal=described)
        self.record = dataclasses.replace(record, **self._about, status="running")

    def begin(self, number: int) -> TrialRecord:
        """Add a trial that begins, or begins or goes on again, and return its record."""
        before = next((each for each in self.record.trials if each.number == number), None)
        spent = before.seconds if before is not None and before.status == "stopped" else None
        trial = TrialRecord(number=number, status="running", seconds=spent)
        self.record = self.record.with_trial(trial)
        self.write()
        return trial

    def compare_with(self, baseline: BaselineRecord) -> None:
        """Take note of what the trials are compared with."""
        self.record = dataclasses.replace(self.record, baseline=baseline)

    def judged(self, trial: TrialRecord) -> dict[str, float]:
        """Return what a sampler is told of a trial: the metrics of the goal and by how much it misses `keep`.

        Raises:
            InvalidArgumentError: the run does not measure one of them.
        """
        self.goal.check(trial.metrics)
        found = {name: float(trial.metrics[name] or 0.0) for name in self.goal.metrics}
        return {**found, VIOLATION: float(self.goal.violation(trial.metrics, _baseline(self.record)))}

    def end(self, trial: TrialRecord, seconds: float) -> TrialRecord:
        """Take note that a trial ended, and return its record as it is now."""
        seconds = round(seconds, 3)
        all_seconds = round((trial.seconds or 0.0) + seconds, 3)
        record = self.record.with_trial(dataclasses.replace(trial, seconds=all_seconds))
        record = dataclasses.replace(record, seconds=round(record.seconds + seconds, 3))
        self.record = _weighed(record, self.goal)
        self.write()
        return self.record.trial(trial.number)

    def close(self) -> None:
        """Take note that the search is complete."""
        record = dataclasses.replace(self.record, status="complete", finished=now())
        self.record = _weighed(record, self.goal)
        self.write()

    def write(self) -> None:
        """Write `search.json`."""
        write_atomically(self.path / FILE, json.dumps(self.record.to_json(), indent=1))

    def relative(self, path: Path) -> str:
        """Return `path` as it is written into the record: relative to the search's folder."""
        return Path(os.path.relpath(path, self.path)).as_posix()


def _weighed(record: SearchRecord, goal: Goal) -> SearchRecord:
    """Return a record that says which trials are feasible, which is the best and which none dominates."""
    baseline = _baseline(record)

    def rank(trial: TrialRecord) -> tuple[float, float, int]:
        return goal.score(trial.metrics, baseline), -(trial.metrics.get("accuracy") or 0.0), trial.number

    trials = tuple(
        dataclasses.replace(trial, feasible=goal.feasible(trial.metrics, baseline))
        if trial.is_complete
        else trial
        for trial in record.trials
    )
    feasible = [trial for trial in trials if trial.is_complete and trial.feasible]
    best = min(feasible, key=rank, default=None)
    front = non_dominated([trial.metrics for trial in feasible])
    return dataclasses.replace(
        record,
        trials=trials,
        best=None if best is None else best.number,
        front=tuple(feasible[i].number for i in front),
    )


def _baseline(record: SearchRecord) -> Metrics:
    return {"accuracy": record.baseline.accuracy} if record.baseline else {}


def read(path: Path) -> SearchRecord:
    """Return the record of the search in the folder `path`.

    Raises:
        RunError: there is none, or it is not one.
    """
    file = path / FILE
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunError(f"Cannot read {file}: {error.strerror}. Name the folder of a search.") from error
    except ValueError as error:
        raise _damaged(file, error) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise RunError(f"{file} is not a search that this version of tfopt reads (expected schema {SCHEMA}).")
    try:
        record = SearchRecord.from_json(content)
    except ValueError as error:
        raise _damaged(file, error) from error
    if record.status == "running" and is_being_written(path) is False:
        return dataclasses.replace(record, status="interrupted")
    return record


def _damaged(file: Path, reason: Exception) -> RunError:
    return RunError(
        f"The record {file} is damaged ({reason}). Delete it and search again: runs that are complete are "
        "not repeated."
    )
