"""Running what is left of a search, in one slot or in several at once."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt.errors import InvalidArgumentError, RunError
from tfopt.files import write_atomically
from tfopt.run.file_lock import SUPPORTED
from tfopt.run.owners import Owner
from tfopt.run.search_record import BaselineRecord, SearchRecord, TrialRecord
from tfopt.search.early_stopping.judge import STOPPED, Judge
from tfopt.search.executors.slot import Slot
from tfopt.search.failures import MachineError, reason, run_again_where_it_may_help, traceback_of
from tfopt.search.foresight import RejectedTrialError, Rejection, rejected
from tfopt.search.goals.objectives import UnfitGoalError
from tfopt.search.journal import Journal
from tfopt.search.metrics import baseline, exported_file, file_metrics
from tfopt.search.samplers import DEFAULT, make_oracle
from tfopt.search.spending import Spending
from tfopt.search.warm_start import EarlierTrial

if TYPE_CHECKING:
    from tfopt.pipeline import Run
    from tfopt.search.shared_search import Claim, SharedSearch

OnTrial = Callable[[Mapping[str, Any], Mapping[str, Any]], None]
"""Is told the entry of a trial that ended and the content of `search.json`."""

logger = logging.getLogger(__name__)

_SECONDS_BETWEEN_LOOKS = 1.0
"""How often one that waits for trials of others looks whether they ended."""


def conduct(
    journal: Journal,
    *,
    spending: Spending,
    seed: int,
    slots: Sequence[Slot],
    runs: Path,
    sampler: str = DEFAULT,
    judge: Judge | None = None,
    earlier: Sequence[EarlierTrial] = (),
    space: Sequence[Any] = (),
    retry_failed: bool = False,
    on_trial: OnTrial | None = None,
) -> SearchRecord:
    """Run what is left of a search, together with whoever else works on it, and return its record.

    Args:
        journal: the record of the search.
        spending: when no further trial begins.
        seed: of the random values.
        slots: where trials run, one at a time in each.
        runs: the folder of runs.
        sampler: what proposes the trials.
        judge: of the trials that the slots stop early; `None` where they stop none.
        earlier: trials of other searches that the sampler is told of.
        space: the hyperparameters of those.
        retry_failed: whether trials that failed before are run again first.
        on_trial: called after each trial.

    Raises:
        UnfitGoalError: the first trial does not measure what the goal needs, or no model can keep a limit.
        RunError: the machine failed, no trial completed, or too many failed in a row.
    """
    from tfopt.oracles.durable import TooManyFailuresError
    from tfopt.search.shared_search import SharedSearch

    if len(slots) > 1 and not SUPPORTED:
        raise InvalidArgumentError(
            "This system has no file locks by which several workers could share a search: use workers=1."
        )
    oracle = make_oracle(sampler, journal.goal, trials=spending.trials, seed=seed)
    shared = SharedSearch(journal, oracle, spending, judge)
    with _Crew(shared, slots, runs, on_trial) as crew:
        if earlier:
            shared.learn(earlier, space)
        if retry_failed:
            logger.info("failed trials that run again: %s", ", ".join(shared.retry_failed()) or "none")
        try:
            crew.work()
        except TooManyFailuresError as error:
            raise RunError(f"{error} {_advice(journal)}") from error
        shared.close()
    if not journal.record.completed:
        raise RunError(f"None of {len(journal.record.trials)} trials completed. {_advice(journal)}")
    return journal.record


def _advice(journal: Journal) -> str:
    return (
        f"Their tracebacks are in {journal.path / 'failures'}. When the cause is gone, --retry-failed "
        "(retry_failed=True) runs them again."
    )


class _Crew:
    """The slots of this process and their share of a search.

    Args:
        shared: the search.
        slots: where trials run.
        runs: the folder of runs.
        on_trial: called after each trial, by one thread at a time.
    """

    def __init__(
        self,
        shared: SharedSearch,
        slots: Sequence[Slot],
        runs: Path,
        on_trial: OnTrial | None,
    ) -> None:
        self._shared, self._slots, self._runs = shared, slots, runs
        self._on_trial, self._telling = on_trial, threading.Lock()
        self._stopped = threading.Event()
        self._owners: list[Owner] = []

    def __enter__(self) -> _Crew:
        for slot in self._slots:
            owner = self._shared.join()
            self._owners.append(owner)
            slot.start(owner)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        for owner in self._owners:
            self._shared.leave(owner)

    def _stop(self) -> None:
        self._stopped.set()
        for slot in self._slots:
            slot.stop()

    def work(self) -> None:
        """Run trials until the search is complete."""
        if len(self._slots) == 1:
            self._work(self._slots[0], self._owners[0])
            return
        self._find_space()
        with concurrent.futures.ThreadPoolExecutor(len(self._slots)) as pool:
            working = [pool.submit(self._work, *each) for each in zip(self._slots, self._owners, strict=True)]
            try:
                concurrent.futures.wait(working, return_when=concurrent.futures.FIRST_EXCEPTION)
            finally:
                if not all(each.done() and not each.exception() for each in working):
                    self._stop()
        for each in working:
            each.result()

    def _find_space(self) -> None:
        """Find out which hyperparameters there are, so that a second trial can begin beside the first one."""
        if not self._shared.needs_space():
            return
        try:
            space = run_again_where_it_may_help(self._slots[0].declare, 1, lambda: True)
        except MachineError:
            raise
        except Exception as error:  # noqa: BLE001  # the first trial fails by it and says so
            logger.info("the hyperparameters are not known before the first trial ran: %s", reason(error))
        else:
            self._shared.tell_space(space)

    def _work(self, slot: Slot, owner: Owner) -> None:
        from tfopt.search.shared_search import Next

        while not self._stopped.is_set():
            claim = self._shared.claim(owner)
            if claim is Next.NOTHING:
                return
            if claim is Next.WAIT:
                self._stopped.wait(_SECONDS_BETWEEN_LOOKS)
            else:
                self._run(slot, claim)

    def _run(self, slot: Slot, claim: Claim) -> None:
        """Run a trial and take note of how it ended."""
        from tfopt.search.shared_search import GivenBackError

        started, trial = time.monotonic(), claim.record
        told = self._shared.journal.path / "failures" / f"{trial.number}.txt"
        try:
            trial = run_again_where_it_may_help(
                lambda: self._measured(slot, claim), trial.number, lambda: not self._stopped.is_set()
            )
        except MachineError:
            raise
        except GivenBackError:
            return
        except RejectedTrialError as error:
            trial = _rejected(trial, error.rejection, claim.trial.hyperparameters.values)
        except Exception as error:  # whatever a recipe does, the search continues and says so
            if self._stopped.is_set():  # it was killed with the search, and is unfinished
                return
            if isinstance(error, UnfitGoalError) and self._shared.is_first(trial.number):
                raise
            write_atomically(told, traceback_of(error))
            values = dict(claim.trial.hyperparameters.values)
            trial = dataclasses.replace(trial, status="failed", reason=reason(error), values=values)
        else:
            told.unlink(missing_ok=True)
        trial = self._shared.end(claim, trial, time.monotonic() - started)
        logger.info("trial %d: %s", trial.number, trial.status)
        if self._on_trial:
            with self._telling:
                self._on_trial(trial.to_json(), self._shared.journal.record.to_json())

    def _measured(self, slot: Slot, claim: Claim) -> TrialRecord:
        """Run a trial and return its record with the metrics of its file.

        Raises:
            RejectedTrialError: it is known before it runs that it cannot be feasible.
        """
        hyperparameters, journal = claim.trial.hyperparameters, self._shared.journal
        self._check_feasible(slot, claim)
        run = slot.run_trial(hyperparameters, self._runs)
        trial = dataclasses.replace(
            claim.record,
            run=journal.relative(Path(run.path)),
            values=dict(hyperparameters.values),
            epochs=run.typed.epochs,
        )
        judge, name = self._shared.judge, Path(run.path).name
        if judge is not None and run.typed.status == STOPPED:
            return judge.stopped(trial, name)
        compared = self._baseline(claim, run)
        first = claim.record.number == compared.trial
        file, named = exported_file(run), journal.goal.of_model
        latency = 1.0 if first else slot.measure_latency(journal.path / compared.file, file)
        metrics = file_metrics(run, latency, named)
        journal.goal.check(metrics)
        if first:
            journal.goal.bounds(compared)
        if judge is not None:
            judge.finished(name, metrics)
        return dataclasses.replace(trial, metrics=metrics, status="complete")

    def _check_feasible(self, slot: Slot, claim: Claim) -> None:
        """Raise where a trial is known to be infeasible before it is run.

        The first one is always run: the others are compared with it.
        """
        compared, goal = self._shared.journal.record.baseline, self._shared.journal.goal
        if compared is None:
            return
        known = slot.foresee(claim.trial.hyperparameters, list(goal.limits.limits))
        if known is not None and (rejection := rejected(known, goal.bounds(compared))):
            raise RejectedTrialError(rejection)

    def _baseline(self, claim: Claim, run: Run) -> BaselineRecord:
        """Return what trials are compared with, when it is there."""
        journal = self._shared.journal
        file = journal.relative(exported_file(run))
        made = baseline(run, claim.record.number, file, journal.goal.of_model)
        while (found := self._shared.baseline(claim, lambda: made)) is None:
            if self._stopped.wait(_SECONDS_BETWEEN_LOOKS):
                raise RunError("The search was ended.")
        return found


def _rejected(trial: TrialRecord, rejection: Rejection, values: Mapping[str, Any]) -> TrialRecord:
    return dataclasses.replace(
        trial,
        status="rejected",
        reason=rejection.reason,
        values=dict(values),
        metrics=rejection.least,
        violations={name: value for name, value in rejection.violations.items() if value > 0},
    )
