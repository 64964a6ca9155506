"""The record of a search: the content of `search.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfopt.run.json_record import OMITTED, Record, key
from tfopt.run.run_record import RecipeRecord

SCHEMA = 1
"""The version of `search.json` that is written and read."""


@dataclass(frozen=True, kw_only=True)
class GoalRecord(Record):
    """The metric that a search improves, which way (`"min"`, `"max"`), and what is kept.

    Attributes:
        metric, direction: of the first objective.
        keep: metric -> how far it may change.
        objectives: metric -> direction of all of several objectives, in order; `None` where there is one.
    """

    metric: str = ""
    direction: str = ""
    keep: Mapping[str, float] = field(default_factory=dict)
    objectives: Mapping[str, str] | None = field(default=None, metadata=OMITTED)

    @property
    def directions(self) -> Mapping[str, str]:
        """Metric -> direction of every objective, in order."""
        return self.objectives or {self.metric: self.direction}


@dataclass(frozen=True, kw_only=True)
class BaselineRecord(Record):
    """What trials are compared with: the float model and the file of the first trial.

    Attributes:
        trial: its number.
        file: relative to the folder of the search.
        accuracy: of the float model on the validation split.
    """

    trial: int = 0
    file: str = ""
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class TrialRecord(Record):
    """One trial of a search.

    Attributes:
        number: counted from 1.
        status: `"running"`, `"complete"`, `"failed"` or, of one that was stopped early, `"stopped"`.
        reason: why it failed.
        values: hyperparameter -> value.
        metrics: of its file: accuracy, bytes, compressed_bytes and latency.
        run: its folder, relative to that of the search.
        seconds: how long it took, before it was stopped and after; `None` while it runs for the first time.
        epochs: how many epochs its run trained itself, in all stages and perhaps for an earlier search;
            `None` where nobody knows.
        stopped_at: what was known where it was stopped early: `epochs` of its first training, metrics of the
            model, and what it costs; `None` of others.
        feasible: whether it keeps what the goal asks; `None` where it is not complete.
    """

    number: int = 0
    status: str = "complete"
    reason: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict, metadata=key("figures"))
    run: str | None = None
    seconds: float | None = field(default=None, metadata=OMITTED)
    feasible: bool | None = field(default=None, metadata=OMITTED)
    epochs: int | None = field(default=None, metadata=OMITTED)
    stopped_at: Mapping[str, float | None] | None = field(default=None, metadata=OMITTED)

    @property
    def is_complete(self) -> bool:
        """Whether the trial ended as it should."""
        return self.status == "complete"


@dataclass(frozen=True, kw_only=True)
class SearchRecord(Record):
    """A search: what it is after, and its trials.

    Attributes:
        schema: the version of the file.
        created, finished: moments in ISO 8601.
        seconds: all trials together.
        goal: what it is after.
        baseline: what trials are compared with; `None` before the first one ended.
        best: the number of the best trial; `None` while none is feasible.
        front: the numbers of the trials that no other one beats in accuracy, size and latency together.
        trials: by number.
        name: of the recipe's runs.
        id: the end of the name of its folder.
        recipe: the recipe's file.
        seed: of the random values and of every run.
        sampler: what proposes the trials.
        earlier: folder of an earlier search -> how many of its trials the sampler knew when this one began.
        early_stopping: how trials are stopped early; `None` where they are not.
        requested_trials: how many there are to be.
        command: as one would type it again.
        status: `"running"`, `"complete"` or, as is found when it is read, `"interrupted"`.
    """

    schema: int = SCHEMA
    created: str | None = None
    finished: str | None = None
    seconds: float = 0.0
    goal: GoalRecord | None = None
    baseline: BaselineRecord | None = None
    best: int | None = None
    front: tuple[int, ...] = ()
    trials: tuple[TrialRecord, ...] = ()
    name: str | None = field(default=None, metadata=OMITTED)
    id: str | None = field(default=None, metadata=OMITTED)
    recipe: RecipeRecord | None = field(default=None, metadata=OMITTED)
    seed: int | None = field(default=None, metadata=OMITTED)
    sampler: str | None = field(default=None, metadata=OMITTED)
    earlier: Mapping[str, int] | None = field(default=None, metadata=OMITTED)
    early_stopping: str | None = field(default=None, metadata=OMITTED)
    requested_trials: int | None = field(default=None, metadata=OMITTED)
    command: str | None = field(default=None, metadata=OMITTED)
    status: str | None = field(default=None, metadata=OMITTED)

    @property
    def completed(self) -> int:
        """How many trials ended as they should."""
        return sum(trial.is_complete for trial in self.trials)

    @property
    def epochs(self) -> int:
        """How many epochs the runs of the trials trained; a run of several trials counts once."""
        return sum({trial.run or "": trial.epochs or 0 for trial in self.trials}.values())

    @property
    def best_trial(self) -> TrialRecord | None:
        """The best trial; `None` while none is feasible."""
        return None if self.best is None else self.trial(self.best)

    def trial(self, number: int) -> TrialRecord:
        """Return the trial of a number."""
        return next(trial for trial in self.trials if trial.number == number)

    def with_trial(self, trial: TrialRecord) -> SearchRecord:
        """Return the record with a trial added, or with the one of its number replaced."""
        others = (each for each in self.trials if each.number != trial.number)
        trials = tuple(sorted([trial, *others], key=lambda each: each.number))
        return dataclasses.replace(self, trials=trials)
