"""Who judges the trials of a search by their first epochs: asynchronous successive halving, or Hyperband.

A trial that comes to a rung (`tfopt.search.early_stopping.rungs`) is compared with those that came there so
far. It goes on at once where it belongs to the best of them, and pauses where it does not; nobody waits. One
that belongs to the best once more trials came is promoted: it goes on from its weights and the state of its
optimizer, before another trial begins (ASHA: Li et al., 2020, arXiv:1810.05934).

What comes after the first training can ruin a model that was the best at every rung. Of a trial that is
complete the metrics of its file count at its rungs, where these are worse than what it had there, so that it
does not stop others any more, and those that it stopped may go on.

Optuna's pruners are not used. They know one objective, need the study of Optuna, which other samplers do not
have, and a trial that they stop never goes on.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.errors import InvalidArgumentError
from tfopt.search.early_stopping.ledger import Entry, Ledger, RungRecord
from tfopt.search.early_stopping.rungs import REDUCTION, bracket, rungs
from tfopt.search.early_stopping.selection import going_on

if TYPE_CHECKING:
    from tfopt.pipeline.training.pause import Progress
    from tfopt.run.search_record import SearchRecord, TrialRecord
    from tfopt.stages import Stage

METHODS = ("halving", "hyperband")

_KNOWN = {
    "bytes": "parameters",
    "compressed_bytes": "parameters",
    "params": "parameters",
    "latency": "macs",
    "macs": "macs",
    "training_macs": "macs",
    "seconds": "macs",
    "epochs": None,
}
"""A cost that a search makes small -> what is known of it before the trial is over. It need not be the cost,
only order trials like it."""

_WORST = 1e300

STOPPED = "stopped"
"""The status of a run, and of a trial, that the judge has stopped."""


def check_stages(stages: Sequence[Stage]) -> None:
    """Raise where the trials of a recipe cannot be stopped early.

    Raises:
        InvalidArgumentError: it does not begin with a training, or with one of a single epoch.
    """
    from tfopt.stages import Train

    first = stages[0]
    if not isinstance(first, Train):
        raise InvalidArgumentError(
            "early_stopping compares trials in their first training: expected a recipe whose stages begin "
            f"with tfopt.Train, got {type(first).__name__}."
        )
    if not rungs(first.epochs, sum(getattr(stage, "epochs", 0) or 0 for stage in stages)):
        raise InvalidArgumentError(
            f"early_stopping has nothing to stop in so few epochs: tfopt.Train has {first.epochs}. Give more."
        )


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Judges the trials of one search; a gate of their runs (`tfopt.pipeline.training.pause.Gate`).

    It is plain data, and can be made again in the process of each trial.

    Attributes:
        folder: of the search.
        method: one of `METHODS`.
        qualities: key of the logs -> `"min"` or `"max"`: the model's metrics that are compared.
        costs: of `"parameters"` and `"macs"`, those that are compared, too.
        reduction: see `tfopt.search.early_stopping.rungs.REDUCTION`.
    """

    folder: str
    method: str
    qualities: Mapping[str, str]
    costs: Sequence[str] = ()
    reduction: int = REDUCTION

    @classmethod
    def of(
        cls, folder: Path, method: str, directions: Mapping[str, str], kept: Mapping[str, str] | None = None
    ) -> Judge:
        """Return the judge of a search.

        Args:
            folder: of the search.
            method: one of `METHODS`.
            directions: metric of the goal -> `"min"` or `"max"`.
            kept: metrics that must be kept, and which way each is better. They are compared where the goal
                is made of costs alone, for these do not change with the epochs; without any, the loss is.
        """
        qualities = {f"val_{name}": way for name, way in directions.items() if name not in _KNOWN}
        if not qualities:
            qualities = {f"val_{name}": way for name, way in (kept or {"loss": "min"}).items()}
        known = (_KNOWN[name] for name in directions if name in _KNOWN)
        costs = tuple(dict.fromkeys(name for name in known if name is not None))
        return cls(folder=str(folder.resolve()), method=method, qualities=qualities, costs=costs)

    def to_json(self) -> dict[str, Any]:
        """Return the arguments that make the same judge in another process, as JSON values."""
        return dataclasses.asdict(self)

    def __call__(self, progress: Progress) -> bool:
        """Return whether a run goes on; see `tfopt.pipeline.training.pause.Gate`.

        Raises:
            RunError: a file of the search cannot be read or written.
        """
        ledger = Ledger(Path(self.folder))
        steps = rungs(progress.stage_epochs, progress.run_epochs, self.reduction)
        entry = ledger.entry(progress.run) or self._begun(progress.run, len(steps))
        for number, epochs in enumerate(steps):
            if progress.epochs < epochs:
                break
            if entry.stopped == number < entry.passed:  # it was promoted
                entry = entry.passing(number)
                ledger.write(entry)
            if number < entry.bracket or entry.passed > number:
                continue
            if entry.at(number) is None:
                entry = entry.reaching(
                    number, RungRecord(epochs=epochs, metrics=self._known(progress, epochs))
                )
                ledger.write(entry)
            if progress.run not in self._best(number, {**ledger.entries(), entry.run: entry}, entry.bracket):
                ledger.write(entry.stopping(number))
                return False
            entry = entry.passing(number)
            ledger.write(entry)
        return True

    def finished(self, run: str, metrics: Mapping[str, float | None]) -> None:
        """Take note of the metrics of the file of a run that is complete, by the names that the goal has."""
        ledger = Ledger(Path(self.folder))
        entry = ledger.entry(run)
        if entry is not None:
            named = {name: metrics.get(name.removeprefix("val_")) for name in self.qualities}
            final = {name: v for name, v in named.items() if v is not None and math.isfinite(v)}
            ledger.write(dataclasses.replace(entry, final=final))

    def promoted(self) -> list[str]:
        """Return the names of the runs that stopped and now belong to the best, those at later rungs first.

        Their entries say so from now on.
        """
        ledger = Ledger(Path(self.folder))
        entries = ledger.entries()
        stopped = [entry for entry in entries.values() if entry.stopped is not None]
        found = []
        for entry in sorted(stopped, key=lambda each: (-(each.stopped or 0), each.run)):
            number = entry.stopped
            assert number is not None
            if entry.passed <= number:
                if entry.run not in self._best(number, entries, entry.bracket):
                    continue
                ledger.write(dataclasses.replace(entry, passed=number + 1))
            found.append(entry.run)
        return found

    def promoted_trials(self, record: SearchRecord) -> list[int]:
        """Return the numbers of the trials that `promoted` names."""
        numbers = {Path(trial.run).name: trial.number for trial in record.trials if trial.run}
        return [numbers[run] for run in self.promoted() if run in numbers]

    def stopped(self, trial: TrialRecord, run: str) -> TrialRecord:
        """Return the record of a trial whose run was stopped, with what was known of it then."""
        entry = Ledger(Path(self.folder)).entry(run)
        rung = None if entry is None or entry.stopped is None else entry.at(entry.stopped)
        known = None if rung is None else {"epochs": rung.epochs, **rung.metrics}
        return dataclasses.replace(trial, status=STOPPED, stopped_at=known)

    def objective(self, trial: TrialRecord, metrics: Sequence[str]) -> dict[str, float]:
        """Return the objective of a stopped trial, where the search has a single one that was known then."""
        value = (trial.stopped_at or {}).get(f"val_{metrics[0]}") if len(metrics) == 1 else None
        return {} if value is None else {metrics[0]: value}

    def _begun(self, run: str, count: int) -> Entry:
        skipped = bracket(run, count, self.reduction) if self.method == "hyperband" else 0
        return Entry(run=run, bracket=skipped)

    def _best(self, number: int, entries: Mapping[str, Entry], bracket_: int) -> set[str]:
        """Return the names of the runs of a bracket that go on beyond a rung."""
        points = {
            name: self._point(record, entry.final or {})
            for name, entry in entries.items()
            if entry.bracket == bracket_ and (record := entry.at(number)) is not None
        }
        return going_on(points, self.reduction)

    def _point(self, record: RungRecord, final: Mapping[str, float | None]) -> tuple[float, ...]:
        """Return what is known of a trial at a rung, and since it is complete, so that smaller is better."""
        found = []
        for name, way in [*self.qualities.items(), *((name, "min") for name in self.costs)]:
            values = [record.metrics.get(name), final.get(name, record.metrics.get(name))]
            found.append(max(_WORST if v is None else v if way == "min" else -v for v in values))
        return tuple(found)

    def _known(self, progress: Progress, epochs: int) -> dict[str, float | None]:
        found: dict[str, float | None] = {name: _logged(progress, name, epochs) for name in self.qualities}
        return found | {name: getattr(progress, name) for name in self.costs}


def _logged(progress: Progress, name: str, epochs: int) -> float | None:
    """Return the value of a metric after so many epochs, or after the last where a training ended before."""
    keys = [key for key in progress.history if key.startswith("val_")]
    ending = name.removeprefix("val_")  # an accuracy may be called "sparse_categorical_accuracy"
    key = name if name in keys else next((key for key in keys if key.endswith(ending)), None)
    if key is None:
        raise InvalidArgumentError(
            f"early_stopping compares {name}, which the training does not log; it logs "
            f"{', '.join(sorted(keys)) or 'nothing on the validation split'}."
        )
    values = progress.history[key][:epochs]
    value = values[-1] if values else None
    return value if value is not None and math.isfinite(value) else None
