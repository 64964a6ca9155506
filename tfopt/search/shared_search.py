"""A search that several work on at once, on this machine or others: who runs which trial, and how they ended.

There is no coordinator. The state is in the folder of the search: that of the oracle, with the trials and who
runs them, and `search.json`. Whoever changes it takes its turn: holds the lock of the folder, reads what the
others wrote since, changes it and writes it. A trial whose owner died is taken over by the next that asks.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from keras_tuner.engine.trial import Trial, TrialStatus

from tfopt.files import TEMPORARY_PREFIX
from tfopt.oracles import OptunaOracle
from tfopt.oracles.durable import DurableOracle, trial_number
from tfopt.oracles.rejection import pruned_message
from tfopt.run import owners
from tfopt.run.file_lock import FileLock
from tfopt.run.owners import Owner
from tfopt.run.search_record import BaselineRecord, TrialRecord
from tfopt.search.early_stopping.judge import STOPPED, Judge
from tfopt.search.journal import Journal
from tfopt.search.spending import Spending
from tfopt.search.warm_start import EarlierTrial

if TYPE_CHECKING:
    import keras_tuner

LOCK = ".turn"

logger = logging.getLogger(__name__)


class Next(Enum):
    """What there is for one that asks for a trial and gets none."""

    WAIT = "trials run elsewhere, after which there may be more"
    NOTHING = "the search is complete"


@dataclass(frozen=True)
class Claim:
    """A trial that somebody runs.

    Attributes:
        owner: who.
        trial: of keras-tuner.
        record: of the trial in `search.json`.
    """

    owner: Owner
    trial: Trial
    record: TrialRecord


class GivenBackError(Exception):
    """A trial cannot end before an earlier one, which nobody runs: that one comes first."""


class SharedSearch:
    """The state of a search, in memory as it was in this process's last turn.

    Its methods may be called from several threads.

    Args:
        journal: the record of the search.
        oracle: proposes the trials.
        spending: when no further trial begins.
        judge: of trials that are stopped early.
    """

    def __init__(
        self, journal: Journal, oracle: DurableOracle, spending: Spending, judge: Judge | None = None
    ) -> None:
        self.journal = journal
        self.judge = judge
        self.oracle = oracle
        self._spending = spending
        oracle.verbose = 0
        journal.path.mkdir(parents=True, exist_ok=True)
        oracle.open(journal.path / "tuner", lambda name: owners.is_alive(journal.path, name))
        self._threads = threading.Lock()
        self._mine: str | None = None
        self._lock = FileLock(journal.path / LOCK)

    # Taking turns.

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Keep everybody else from changing the search, and know what they did before."""
        with self._threads, self._lock:
            if self._mine is None or self._last_writer() != self._mine:
                self.journal.reread()
                self.oracle.refresh()
                self._mine = self._last_writer()
            try:
                yield
            except BaseException:
                self._mine = None  # what is in memory may not be in the files
                raise

    def _last_writer(self) -> str:
        # In the file of the lock, because network file systems read that one anew when it is locked.
        assert self._lock.file is not None
        self._lock.file.seek(0)
        return self._lock.file.read()

    def _changes(self) -> None:
        """Say, before the first change of a turn, that what others have in memory is out of date."""
        assert self._lock.file is not None
        self._mine = secrets.token_hex(8)
        self._lock.file.truncate(0)
        self._lock.file.write(self._mine)
        self._lock.file.flush()

    # What is done in a turn.

    def join(self) -> Owner:
        """Return a new owner of trials."""
        with self._turn():
            owners.bury_dead(self.journal.path)
            if not owners.living(self.journal.path):
                for unfinished in self.journal.path.rglob(f"{TEMPORARY_PREFIX}*"):
                    unfinished.unlink(missing_ok=True)
            owner = Owner(self.journal.path)
            self._changes()
            self.journal.open()
            self.oracle.save()
            return owner

    def leave(self, owner: Owner) -> None:
        """Take note that an owner is no more; a trial that it did not finish waits for the next."""
        with self._turn():
            owner.release()

    def retry_failed(self) -> list[str]:
        """Queue the trials that failed, and return their ids."""
        with self._turn():
            self._changes()
            return self.oracle.retry_failed()

    def learn(self, earlier: Sequence[EarlierTrial], space: Sequence[Any]) -> None:
        """Tell the sampler of trials of other searches, once.

        Args:
            earlier: the trials.
            space: the hyperparameters of this search.
        """
        assert isinstance(self.oracle, OptunaOracle), "check_warm_start lets no others through"
        with self._turn():
            self._changes()
            self.oracle.learn({each.key: (each.values, each.metrics) for each in earlier}, space)

    def needs_space(self) -> bool:
        """Return whether nothing is known of the hyperparameters, so that a second trial cannot begin yet."""
        with self._turn():
            return not self.oracle.hyperparameters.space

    def tell_space(self, hyperparameters: keras_tuner.HyperParameters) -> None:
        """Take note of hyperparameters that are known before a trial asked for them."""
        with self._turn():
            self._changes()
            self.oracle.update_space(hyperparameters)
            self.oracle.save()

    def claim(self, owner: Owner) -> Claim | Next:
        """Return the next trial for an owner, if there is one."""
        with self._turn():
            self.oracle.release_dead()
            self._promote()
            if not self.oracle.has_work() or (not self.oracle.has_unfinished() and self._used_up()):
                return self._elsewhere()
            self._changes()
            trial = self.oracle.create_trial(owner.name)
            if trial.status != TrialStatus.RUNNING:
                return self._elsewhere()
            return Claim(owner, trial, self.journal.begin(trial_number(trial.trial_id) + 1))

    def _promote(self) -> None:
        """Let stopped trials go on that now belong to the best, before a new one begins."""
        promoted = self.judge.promoted_trials(self.journal.record) if self.judge else []
        if promoted:
            self._changes()
            self.oracle.resume_pruned([number - 1 for number in promoted])

    def _used_up(self) -> str | None:
        return self._spending.used_up(self.journal.record, self.journal.searched)

    def is_first(self, number: int) -> bool:
        """Return whether a trial is the one that others are compared with, or there is none yet."""
        with self._turn():
            compared = self.journal.record.baseline
            return compared is None or compared.trial == number

    def _elsewhere(self) -> Next:
        return Next.WAIT if self.oracle.ongoing_trials else Next.NOTHING

    def baseline(self, claim: Claim, make: Callable[[], BaselineRecord]) -> BaselineRecord | None:
        """Return what trials are compared with: the first one that completes, in the order of their numbers.

        Args:
            claim: of a trial that ran.
            make: what it would be, if that is the trial of the claim.

        Returns:
            `None` while a trial runs that would come first.

        Raises:
            GivenBackError: that one is run by nobody. The trial of the claim waits until it is.
        """
        with self._turn():
            if self.journal.record.baseline is not None:
                return self.journal.record.baseline
            self.oracle.release_dead()
            ended = {TrialStatus.COMPLETED, TrialStatus.FAILED}
            number = trial_number(claim.trial.trial_id)
            first = {
                name
                for name, trial in self.oracle.trials.items()
                if trial_number(name) < number and trial.status not in ended
            }
            if not first:
                self._changes()
                self.journal.compare_with(make())
                self.journal.write()
                return self.journal.record.baseline
            running = {trial.trial_id for trial in self.oracle.ongoing_trials.values()}
            if first & running:
                return None
            self._changes()
            self.oracle.give_back(claim.owner.name)
            self.oracle.save()
        raise GivenBackError

    def end(self, claim: Claim, record: TrialRecord, seconds: float) -> TrialRecord:
        """Take note of how a trial ended.

        Args:
            claim: of the trial.
            record: with the status `"complete"`, `"failed"`, `"rejected"` or `"stopped"`.
            seconds: how long it took.

        Returns:
            The record as it is now.

        Raises:
            UnfitGoalError: the run does not measure what the goal needs.
            TooManyFailuresError: so many trials failed in a row that the search should end.
        """
        with self._turn():
            trial = claim.trial
            mine = self.oracle.ongoing_trials.get(claim.owner.name)
            if mine is None or mine.trial_id != trial.trial_id:
                logger.warning(
                    "trial %d was taken over by another process, whose result counts", record.number
                )
                return record
            self._changes()
            judged: Mapping[str, float] = self.journal.judged(record) if record.is_complete else {}
            # First the record: where a kill comes between the two, the trial begins again and its run is
            # there.
            record = self.journal.end(record, seconds)
            if record.is_complete:
                self.oracle.update_trial(trial.trial_id, dict(judged))
                trial.status = TrialStatus.COMPLETED
            elif record.status == "rejected":
                self.oracle.reject(trial, record.violations or {}, str(record.reason))
            elif self.judge is not None and record.status == STOPPED:
                known = self.judge.objective(record, self.journal.goal.metrics)
                if known:
                    self.oracle.update_trial(trial.trial_id, known, step=record.epochs or 0)
                trial.status = TrialStatus.FAILED
                trial.message = pruned_message(f"stopped after epoch {record.epochs}")
            else:
                trial.status, trial.message = TrialStatus.FAILED, record.reason
            self.oracle.end_trial(trial)
            return record

    def close(self) -> None:
        """Take note that the search is complete."""
        with self._turn():
            self._changes()
            self.journal.close(self._used_up())
