"""What all oracles share: keras-tuner's `Oracle`, made to survive kills and failing trials.

The one module, with the oracles beside it that change one of keras-tuner's, that touches what keras-tuner
calls private. What 1.4.8 does, and this changes:

- JSON files are written in place, so that a kill leaves an empty one and no later start can read it;
- a project is reloaded only after its first trial ended;
- a trial that is repeated averages its metrics with those that it reported before, NaN included;
- an objective that is infinite is a success, and with nothing completed a failed trial is the best one;
- three failures in a row stop the search for good, with the last trial still RUNNING on disk;
- the values of successive trials come from successive seeds, and a seed of 0 is no seed;
- several tuners share a project through a server alone. Here, those that take turns can share its folder:
  `refresh` reads what the others wrote, and `release_dead` takes over the trials of those that died.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus

from tfopt import _validation
from tfopt.errors import InvalidArgumentError, RunError
from tfopt.files import keep_previous, previous, read_json, write_atomically
from tfopt.oracles import rejection
from tfopt.oracles.objectives import Constraint, Objectives, costs, ranks
from tfopt.oracles.rejection import was_pruned
from tfopt.oracles.seeds import derived_seed

logger = logging.getLogger(__name__)


class TooManyFailuresError(RunError):
    """So many trials failed one after another that a search stopped."""


class DurableOracle(keras_tuner.Oracle):
    """Base of the oracles of this package; see `OptunaOracle` for the arguments.

    A subclass proposes the values of a trial in `propose(trial_id)`, from nothing but the trials so far, the
    seed and the id, which is what makes a search resume exactly. Beside an oracle of keras-tuner it stands
    first among the bases.
    """

    start_order: list[str]
    end_order: list[str]
    trials: dict[str, Trial]
    ongoing_trials: dict[str, Trial]
    max_trials: int | None
    objective: Any
    _retry_queue: list[str]

    def __init__(
        self,
        objective: Any = None,
        max_trials: int | None = None,
        *,
        constraints: Iterable[Constraint] = (),
        seed: int | None = None,
        start_with_defaults: bool = True,
        **kwargs: Any,
    ) -> None:
        if max_trials is not None:
            _validation.whole(type(self).__name__, "max_trials", max_trials, at_least=1)
        if seed is not None:
            _validation.whole(type(self).__name__, "seed", seed, at_least=0)
        if isinstance(objective, tuple):
            objective = list(objective)
        if isinstance(objective, list) and not objective:
            raise InvalidArgumentError(f"{type(self).__name__}: expected at least one objective, got none.")
        super().__init__(objective=objective, max_trials=max_trials, seed=1, **kwargs)
        self.seed = random.SystemRandom().randrange(2**31) if seed is None else int(seed)
        several = getattr(self.objective, "objectives", None)  # of keras-tuner's sum of them
        self.objectives = tuple(several or [self.objective])
        if len({each.name for each in self.objectives}) < len(self.objectives):
            names = ", ".join(each.name for each in self.objectives)
            raise InvalidArgumentError(f"{type(self).__name__}: an objective is given twice: {names}.")
        self.objective = Objectives(self.objectives) if len(self.objectives) > 1 else self.objectives[0]
        self.constraints = tuple(constraints)
        self.start_with_defaults = start_with_defaults
        self._loaded = False
        self._inside = False
        self._asked_again: list[str] = []
        self._owned: dict[str, str] = {}
        self._is_alive: Callable[[str], bool] = _nobody

    # What subclasses say.

    def propose(self, trial_id: str) -> dict[str, Any] | None:
        """Return the values of a trial; `None` when there is nothing left to try."""
        response = super().populate_space(trial_id)
        return response["values"] if response["status"] == TrialStatus.RUNNING else None

    def on_trial_started(self, trial: Trial) -> None:
        """Take note of a trial that is about to run, for the first time or again."""

    def on_trial_ended(self, trial: Trial) -> None:
        """Take note of a trial that ended and will not run again by itself."""

    def on_new_project(self) -> None:
        """Forget what belongs to the folder of another project."""

    def on_reloaded(self) -> None:
        """Bring the state of the subclass in line with the trials that were read."""

    # For subclasses.

    def was_tried(self, values: dict[str, Any]) -> bool:
        """Return whether a trial has, or had, these values."""
        return bool(self._duplicate(values))

    def untried_values(self) -> dict[str, Any] | None:
        """Return random values that no trial had; `None` where, after 20 tries, there seem to be none."""
        values: dict[str, Any] | None = self._random_values()
        return values

    # For users.

    def metrics_of(self, trial: Trial) -> dict[str, float]:
        """Return what a trial reported, at its best epoch."""
        found = {}
        for name, history in trial.metrics.metrics.items():
            observed = {each.step: each for each in history.get_history()}
            if observed:
                at = observed.get(trial.best_step) or observed[max(observed)]
                found[name] = float(at.mean())
        return found

    def values_of(self, trial: Trial) -> list[float]:
        """Return the values of the objectives of a trial, in the order of the objectives."""
        metrics = self.metrics_of(trial)
        return [metrics[each.name] for each in self.objectives]

    def violation(self, trial: Trial) -> float:
        """Return by how much a trial misses the constraints, added up; 0 where it keeps them."""
        metrics = self.metrics_of(trial)
        return sum(max(0.0, each.violation(metrics)) for each in self.constraints)

    def completed(self) -> list[Trial]:
        """Return the trials that completed, by id."""
        return [trial for trial in self.trials.values() if trial.status == TrialStatus.COMPLETED]

    def front(self) -> list[Trial]:
        """Return the trials that keep the constraints and that no other such trial dominates, by id."""
        feasible = [trial for trial in self.completed() if self.violation(trial) == 0]
        found = ranks([costs(self.values_of(trial), self.objectives) for trial in feasible])
        return [trial for trial, rank in zip(feasible, found, strict=True) if rank == 0]

    def get_best_trials(self, num_trials: int = 1) -> list[Trial]:
        """Return the best completed trials: feasible ones first, then by front, then by the first objective.

        Raises:
            RunError: trials ended, and none of them completed.
        """
        completed = self.completed()
        if not completed and self.end_order and not self._inside:
            raise RunError(
                f"None of the {len(self.end_order)} trials of this search completed. The reason of each is "
                f"the message in its trial.json below {self._project_dir}."
            )
        points = [costs(self.values_of(trial), self.objectives) for trial in completed]
        order = zip([self.violation(trial) for trial in completed], ranks(points), points, strict=True)
        keyed = [(key, trial) for key, trial in zip(order, completed, strict=True)]
        return [trial for _, trial in sorted(keyed, key=lambda pair: pair[0])][:num_trials]

    def retry_failed(self) -> list[str]:
        """Put the trials that failed in the queue, to run again before any new one; return their ids.

        One that was pruned has not failed.
        """
        failed = [name for name in self._failed() if not was_pruned(self.trials[name])]
        self._run_again(failed)
        return failed

    def resume_pruned(self, numbers: Iterable[int]) -> list[str]:
        """Put trials that were pruned in the queue, to go on before any new one; return their ids.

        Args:
            numbers: of the trials, from 0, the first to go on first. Others than pruned ones are left alone.
        """
        pruned = {trial_number(name): name for name in self._failed() if was_pruned(self.trials[name])}
        found = [pruned[number] for number in numbers if number in pruned]
        if found:
            self._run_again(found)
        return found

    def _failed(self) -> list[str]:
        """Return the ids of the trials that failed or were pruned, and do not run again yet."""
        return [name for name in self.end_order if self.trials[name].status == TrialStatus.FAILED]

    def _run_again(self, names: list[str]) -> None:
        self.end_order = [name for name in self.end_order if name not in names]
        for name in names:
            self._run_times[name] = 0
        self._retry_queue = [*reversed(names), *self._retry_queue]
        self.save()

    def reject(self, trial: Trial, violations: Mapping[str, float], reason: str) -> None:
        """Say of a trial, before `end_trial`, that it is known to be infeasible and was not run.

        It is no failure, and up to ten such trials for each of `max_trials` are not counted. Samplers that
        look at infeasible trials without objectives, such as TPE, learn from it.

        Args:
            trial: that `create_trial` returned.
            violations: metric of a constraint -> its value, of those that are known.
            reason: in one line.
        """
        rejection.mark(self.trials[trial.trial_id], violations, reason)
        trial.status, trial.message = TrialStatus.FAILED, self.trials[trial.trial_id].message

    @property
    def allowed_trials(self) -> int | None:
        """How many trials there may be in all, with those that were rejected; `None` for any number."""
        return rejection.allowed(self.max_trials, sum(map(rejection.was_rejected, self.trials.values())))

    # For several that share a project: they take turns, each between `refresh` and its last change.

    def open(self, folder: Path, is_alive: Callable[[str], bool] | None = None) -> None:
        """Work in the folder of a project without a tuner.

        Args:
            folder: of the project; what is there is read when it is needed.
            is_alive: tells of a tuner's id whether that tuner still runs, so that its trial is not taken
                over. By default none does: a project belongs to one process at a time.
        """
        self._is_alive = is_alive or _nobody
        self._set_project_dir(str(folder.parent), folder.name)

    def refresh(self) -> None:
        """Read what others wrote since, and take over the trials of those that died."""
        if self._loaded and Path(self._get_oracle_fname()).exists():
            self.reload()
        else:
            self._load_once()

    def release_dead(self) -> None:
        """Queue the trials of tuners that died, to run again before any new one."""
        dead = [owner for owner in self.ongoing_trials if not self._is_alive(owner)]
        for owner in dead:
            self.give_back(owner)

    def give_back(self, owner: str) -> None:
        """Queue the trial of a tuner that does not finish it."""
        name = self.ongoing_trials.pop(owner).trial_id
        self._retry_queue = sorted({*self._retry_queue, name}, key=trial_number, reverse=True)

    def has_unfinished(self) -> bool:
        """Return whether a trial waits that was begun before."""
        return bool(self._retry_queue)

    def has_work(self) -> bool:
        """Return whether a trial waits, or a new one may be proposed; not whether there are values for it."""
        allowed = self.allowed_trials
        return self.has_unfinished() or allowed is None or len(self.trials) < allowed

    # keras-tuner's own, changed.

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Return the values of a trial as keras-tuner asks for them."""
        self._seed_state = derived_seed(self.seed, trial_number(trial_id))
        if self.start_with_defaults and not self.start_order:
            values: dict[str, Any] | None = self.first_values(trial_id)
        else:
            values = self.propose(trial_id)
        if values is not None:
            return {"status": TrialStatus.RUNNING, "values": values}
        # What runs elsewhere may still show new hyperparameters.
        return {"status": TrialStatus.IDLE if self.ongoing_trials else TrialStatus.STOPPED, "values": None}

    def first_values(self, _trial_id: str) -> dict[str, Any]:
        """Return the defaults of the hyperparameters that are active with them."""
        hyperparameters = keras_tuner.HyperParameters()
        hyperparameters.merge(self.hyperparameters)
        return dict(hyperparameters.values)

    @keras_tuner.synchronized
    def create_trial(self, tuner_id: str) -> Trial:
        """Return the next trial for a tuner, or the one that it has."""
        self._load_once()
        has_one = tuner_id in self.ongoing_trials
        if self._retry_queue and not has_one:
            again = self.trials[self._retry_queue[-1]]
            # What it reported before it was cut off, or failed, would be averaged with what comes.
            again.metrics = type(again.metrics)()
            again.score = again.message = None
            again.status = TrialStatus.RUNNING
            self._save_trial(again)
        counted = self.max_trials
        try:
            self.max_trials = self.allowed_trials
            with self._keras_tuner_inside():
                trial = super().create_trial(tuner_id)
        finally:
            self.max_trials = counted
        if trial.status == TrialStatus.RUNNING and not has_one:
            self.on_trial_started(trial)
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial: Trial) -> None:
        """Take note that a trial ended."""
        mine = self.trials[trial.trial_id]
        if trial.status == TrialStatus.COMPLETED:
            if wrong := self._not_judged(mine):
                trial.status = TrialStatus.INVALID
                trial.message = wrong
        elif trial.status == TrialStatus.INVALID and was_pruned(trial):
            trial.status = TrialStatus.FAILED
        with self._keras_tuner_inside():
            super().end_trial(trial)
        if mine.status in (TrialStatus.COMPLETED, TrialStatus.FAILED):
            self.on_trial_ended(mine)

    def _check_consecutive_failures(self) -> None:
        """Stop after too many failures in a row, those at the end: a success in between counts anew."""
        failed = 0
        for name in reversed(self.end_order):
            if rejection.was_rejected(self.trials[name]):
                continue
            if self.trials[name].status != TrialStatus.FAILED or was_pruned(self.trials[name]):
                break
            failed += 1
        if failed >= self.max_consecutive_failed_trials:
            last = self.trials[self.end_order[-1]]
            self._save_trial(last)
            self.ongoing_trials = {k: v for k, v in self.ongoing_trials.items() if v is not last}
            self.save()
            self.on_trial_ended(last)
            message = (last.message or "").strip()
            raise TooManyFailuresError(f"{failed} trials in a row failed; the last one: {message}")

    def save(self) -> None:
        """Write the state of the search, whole or not at all."""
        self._load_once()
        write_json(self._get_oracle_fname(), self.get_state())

    def _save_trial(self, trial: Trial) -> None:
        file = Path(self._get_trial_dir(trial.trial_id)) / "trial.json"
        if not file.exists():  # of which there is no version before
            write_json(previous(file), trial.get_state())
        write_json(file, trial.get_state())

    def _record_values(self, trial: Trial) -> None:
        """Take note of what was tried, as keras-tuner does.

        That draws missing values without a seed, and loses the value of a name that stands under two
        conditions of which the second is not met.
        """
        hyperparameters = trial.hyperparameters
        for hp in hyperparameters.space:
            if hyperparameters.is_active(hp):
                hyperparameters.values.setdefault(hp.name, hp.default)
            elif not hyperparameters.is_active(hp.name):
                hyperparameters.values.pop(hp.name, None)
        before = self._id_to_hash[trial.trial_id]
        now = self._compute_values_hash(hyperparameters.values)
        self._id_to_hash[trial.trial_id] = now
        if before not in self._id_to_hash.values():
            self._tried_so_far.discard(before)
        self._tried_so_far.add(now)

    def _set_project_dir(self, directory: str, project_name: str) -> None:
        super()._set_project_dir(directory, project_name)
        self._loaded = False
        self.on_new_project()

    @property
    def project_folder(self) -> Path:
        """The folder of the project."""
        return Path(self._project_dir)

    def _load_once(self) -> None:
        """Read a project that keras-tuner would not, because its first trial never ended."""
        if self._loaded:
            return
        self._loaded = True
        if not self.trials and Path(self._get_oracle_fname()).exists():
            space = self.hyperparameters
            self.reload()
            self.update_space(space)
        else:
            self.on_reloaded()

    def reload(self) -> None:
        """Read the state of a search; the unfinished trials of tuners that do not live any more run next."""
        self._loaded = True
        for file in Path(self._project_dir).glob("*.json"):
            mend_json(file)
        self._read_trials()
        self.set_state(read_json(self._get_oracle_fname()))
        self.trials = dict(sorted(self.trials.items(), key=lambda item: trial_number(item[0])))
        # A kill between two writes leaves a trial that ended by its own file alone, or only began in it.
        ended = {TrialStatus.COMPLETED, TrialStatus.FAILED}
        unfinished = [name for name, trial in self.trials.items() if trial.status not in ended]
        requeued = [name for name in self._asked_again if self.trials[name].status == TrialStatus.FAILED]
        self.ongoing_trials = {
            owner: self.trials[name]
            for owner, name in self._owned.items()
            if name in unfinished and self._is_alive(owner)
        }
        running = {trial.trial_id for trial in self.ongoing_trials.values()}
        again = {*unfinished, *requeued} - running
        self.end_order = [name for name in self.end_order if name not in again | running]
        for name, trial in self.trials.items():
            if name not in again | running and name not in self.end_order:
                self.end_order.append(name)
                self.update_space(trial.hyperparameters)
            self._record_values(trial)
        self._retry_queue = sorted(again, key=trial_number, reverse=True)
        self.start_order = list(self.trials)
        self.on_reloaded()

    def _read_trials(self) -> None:
        """Read the trials of the project; one that completed in memory is final."""
        done = {name for name, trial in self.trials.items() if trial.status == TrialStatus.COMPLETED}
        for file in Path(self._project_dir).glob("trial_*/trial.json"):
            if file.parent.name.removeprefix("trial_") not in done:
                trial = Trial.from_state(read_json(file))
                self.trials[trial.trial_id] = trial

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over a saved state."""
        super().set_state({**state, "ongoing_trials": {}})
        self._owned = dict(state["ongoing_trials"])
        self._asked_again = list(state["retry_queue"])

    @contextlib.contextmanager
    def _keras_tuner_inside(self) -> Iterator[None]:
        # Its display asks for the best trial while there may be none, which is no error there.
        self._inside = True
        try:
            yield
        finally:
            self._inside = False

    def _not_judged(self, trial: Trial) -> str:
        """Return which objectives and constraints a trial gave no finite number for; empty where all are."""
        metrics = self.metrics_of(trial)
        names = [each.name for each in self.objectives] + [each.metric for each in self.constraints]
        told = []
        for name in dict.fromkeys(names):
            if name not in metrics:
                told.append(f"{name} was not reported")
            elif not math.isfinite(metrics[name]):
                told.append(f"{name} is {metrics[name]}")
        return "; ".join(told)


def trial_number(trial_id: str) -> int:
    """Return the number of a trial, from 0; keras-tuner pads ids to as many digits as `max_trials` has."""
    return int(trial_id)


def write_json(path: str | Path, state: Any) -> None:
    """Write a state of keras-tuner, whole or not at all, and keep the version before."""
    keep_previous(path)
    write_atomically(path, json.dumps(state, default=_plain))


def mend_json(file: Path) -> None:
    """Make an empty state of a tuner's file that a kill left torn; only keras-tuner writes those in place."""
    if file.name == "oracle.json":
        return
    try:
        json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        logger.warning("%s was torn by a kill; the state of the tuner begins anew.", file)
        write_atomically(file, "{}")


def _nobody(_owner: str) -> bool:
    return False


def _plain(value: Any) -> Any:
    """Return a scalar of NumPy, such as a choice of the user's, as JSON has it."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{value!r} is no JSON value")
