"""The record of a search: the content of `search.json`."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tfopt.run.json_record import OMITTED, Record, key
from tfopt.run.run_record import RecipeRecord

SCHEMA = 2
"""The version of `search.json` that is written."""

READABLE = (1, SCHEMA)
"""The versions that are read. The front of the first was always that of accuracy, bytes and latency."""


@dataclass(frozen=True, kw_only=True)
class GoalRecord(Record):
    """The metrics that a search improves, what is kept, and what trials may cost.

    Attributes:
        metric, direction: of the first objective.
        keep: metric -> how far it may change.
        objectives: metric -> direction (`"min"`, `"max"`) of each objective, in order.
        max: cost -> the most that it may be, as `tfopt.budgets.Budgets` takes it.
    """

    metric: str = ""
    direction: str = ""
    keep: Mapping[str, float] = field(default_factory=dict)
    objectives: Mapping[str, str] | None = field(default=None, metadata=OMITTED)
    max: Mapping[str, Any] | None = field(default=None, metadata=OMITTED)

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
        metrics: of the float model on the validation split.
        costs: of the trial; `latency` in seconds.
    """

    trial: int = 0
    file: str = ""
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    costs: Mapping[str, float | None] = field(default_factory=dict)

    @classmethod
    def upgraded(cls, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the content with all metrics of the float model; version 1 had the accuracy."""
        if "accuracy" not in content:
            return content
        others = {name: value for name, value in content.items() if name != "accuracy"}
        return {"metrics": {"accuracy": content["accuracy"]}, **others}


@dataclass(frozen=True, kw_only=True)
class ReferenceRecord(Record):
    """How the hypervolume of a search measures an objective.

    Attributes:
        point: the value that a trial must be better than to count, the reference point.
        scale: the difference between this and the first trial's value, above 0.
        direction: `"min"` or `"max"`, which way the objective is better.
    """

    point: float = 0.0
    scale: float = 1.0
    direction: str = "min"


@dataclass(frozen=True, kw_only=True)
class TrialRecord(Record):
    """One trial of a search.

    Attributes:
        number: counted from 1.
        status: `"running"`, `"complete"`, `"failed"`, `"rejected"` before anything was trained, or
            `"stopped"` early.
        reason: why it failed or was rejected.
        values: hyperparameter -> value.
        metrics: of its file: those of the model on the validation split, and what it costs; of a rejected
            trial what was known of it.
        run: its folder, relative to that of the search.
        seconds: how long it took, before it was stopped and after; `None` while it runs for the first time.
        epochs: how many epochs its run trained itself, in all stages and perhaps for an earlier search;
            `None` where nobody knows.
        stopped_at: what was known where it was stopped early: `epochs` of its first training, metrics of the
            model, and what it costs; `None` of others.
        feasible: whether it keeps what the goal asks; `None` where it is not complete.
        violations: constraint -> by how much it is missed, as a share of it, of those that are missed.
        hypervolume: of all trials that ended until then, itself included, in [0, 1] where costs are not
            negative; see `tfopt.search.goals.hypervolume`.
    """

    number: int = 0
    status: str = "complete"
    reason: str | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | None] = field(default_factory=dict, metadata=key("figures"))
    run: str | None = None
    seconds: float | None = field(default=None, metadata=OMITTED)
    feasible: bool | None = field(default=None, metadata=OMITTED)
    violations: Mapping[str, float] | None = field(default=None, metadata=OMITTED)
    hypervolume: float | None = field(default=None, metadata=OMITTED)
    epochs: int | None = field(default=None, metadata=OMITTED)
    stopped_at: Mapping[str, float | None] | None = field(default=None, metadata=OMITTED)

    @property
    def is_complete(self) -> bool:
        """Whether the trial ended as it should."""
        return self.status == "complete"

    @property
    def is_rejected(self) -> bool:
        """Whether it was rejected before anything was trained."""
        return self.status == "rejected"


@dataclass(frozen=True, kw_only=True)
class SearchRecord(Record):
    """A search: what it is after, and its trials.

    Attributes:
        schema: the version of the file.
        created, finished: moments in ISO 8601.
        seconds: all trials together.
        searched: seconds of the clock while the search ran, over all of its parts.
        goal: what it is after.
        baseline: what trials are compared with; `None` before the first one ended.
        best: the number of the best trial; `None` while none is feasible.
        front: the numbers of the feasible trials that no other one beats in all objectives together.
        knee: the number of the trial of the front where its bend is sharpest; `None` where it has none.
        reference: objective -> how the hypervolume measures it; `None` before the first trial ended.
        hypervolume: of the front.
        trials: by number.
        name: of the recipe's runs.
        id: the end of the name of its folder.
        recipe: the recipe's file.
        data: what was given in place of the recipe's data; `None` for that.
        seed: of the random values and of every run.
        sampler: what proposes the trials.
        earlier: folder of an earlier search -> how many of its trials the sampler knew when this one began.
        early_stopping: how trials are stopped early; `None` where they are not.
        requested_trials: how many there are to be, rejected ones not counted; `None` for any number.
        requested_hours, requested_epochs: how long the search is to go on, and how many epochs to train in
            all; `None` for any.
        stopped: which of these was used up before the trials were; `None` where none was.
        recipe_digest: of the recipe's source.
        command: as one would type it again.
        status: `"running"`, `"complete"` or, as is found when it is read, `"interrupted"`.
    """

    schema: int = SCHEMA
    created: str | None = None
    finished: str | None = None
    seconds: float = 0.0
    searched: float = 0.0
    goal: GoalRecord | None = None
    baseline: BaselineRecord | None = None
    best: int | None = None
    front: tuple[int, ...] = ()
    knee: int | None = field(default=None, metadata=OMITTED)
    reference: Mapping[str, ReferenceRecord] | None = field(default=None, metadata=OMITTED)
    hypervolume: float | None = field(default=None, metadata=OMITTED)
    trials: tuple[TrialRecord, ...] = ()
    name: str | None = field(default=None, metadata=OMITTED)
    id: str | None = field(default=None, metadata=OMITTED)
    recipe: RecipeRecord | None = field(default=None, metadata=OMITTED)
    data: str | None = field(default=None, metadata=OMITTED)
    seed: int | None = field(default=None, metadata=OMITTED)
    sampler: str | None = field(default=None, metadata=OMITTED)
    earlier: Mapping[str, int] | None = field(default=None, metadata=OMITTED)
    early_stopping: str | None = field(default=None, metadata=OMITTED)
    requested_trials: int | None = field(default=None, metadata=OMITTED)
    requested_hours: float | None = field(default=None, metadata=OMITTED)
    requested_epochs: int | None = field(default=None, metadata=OMITTED)
    stopped: str | None = field(default=None, metadata=OMITTED)
    recipe_digest: str | None = field(default=None, metadata=OMITTED)
    command: str | None = field(default=None, metadata=OMITTED)
    status: str | None = field(default=None, metadata=OMITTED)

    @property
    def completed(self) -> int:
        """How many trials ended as they should."""
        return sum(trial.is_complete for trial in self.trials)

    @property
    def rejected(self) -> int:
        """How many trials were rejected before anything was trained."""
        return sum(trial.is_rejected for trial in self.trials)

    @property
    def epochs(self) -> int:
        """How many epochs the runs of the trials trained; a run of several trials counts once."""
        known = {trial.run: trial.epochs or trial.metrics.get("epochs") for trial in self.trials if trial.run}
        return round(sum(epochs or 0 for epochs in known.values()))

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
