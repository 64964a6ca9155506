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
from tfopt.run.search_record import BaselineRecord, SearchRecord, TrialRecord
from tfopt.search.executors.slot import Slot
from tfopt.search.failures import MachineError, reason, run_again_where_it_may_help, traceback_of
from tfopt.search.journal import Journal
from tfopt.search.metrics import exported_file, file_metrics, float_accuracy
from tfopt.search.owners import Owner
from tfopt.search.samplers import DEFAULT, make_oracle

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
    trials: int,
    seed: int,
    slots: Sequence[Slot],
    runs: Path,
    sampler: str = DEFAULT,
    retry_failed: bool = False,
    on_trial: OnTrial | None = None,
) -> SearchRecord:
    """Run what is left of a search, together with whoever else works on it, and return its record.

    Args:
        journal: the record of the search.
        trials: how many in all.
        seed: of the random values.
        slots: where trials run, one at a time in each.
        runs: the folder of runs.
        sampler: what proposes the trials.
        retry_failed: whether trials that failed before are run again first.
        on_trial: called after each trial.

    Raises:
        RunError: the machine failed, no trial completed, or too many failed in a row.
    """
    from tfopt.oracles.durable import TooManyFailuresError
    from tfopt.search.shared_search import SharedSearch

    if len(slots) > 1 and not SUPPORTED:
        raise InvalidArgumentError(
            "This system has no file locks by which several workers could share a search: use workers=1."
        )
    shared = SharedSearch(journal, make_oracle(sampler, journal.goal, trials=trials, seed=seed))
    with _Crew(shared, slots, runs, trials, on_trial) as crew:
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
        trials: how many there are to be in all.
        on_trial: called after each trial, by one thread at a time.
    """

    def __init__(
        self,
        shared: SharedSearch,
        slots: Sequence[Slot],
        runs: Path,
        trials: int,
        on_trial: OnTrial | None,
    ) -> None:
        self._shared, self._slots, self._runs, self._trials = shared, slots, runs, trials
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
        except Exception as error:  # noqa: BLE001  # whatever a recipe does, the search continues and says so
            if self._stopped.is_set():  # it was killed with the search, and is unfinished
                return
            write_atomically(told, traceback_of(error))
            values = dict(claim.trial.hyperparameters.values)
            trial = dataclasses.replace(trial, status="failed", reason=reason(error), values=values)
        else:
            told.unlink(missing_ok=True)
        trial = self._shared.end(claim, trial, time.monotonic() - started)
        logger.info("trial %d of %d: %s", trial.number, self._trials, trial.status)
        if self._on_trial:
            with self._telling:
                self._on_trial(trial.to_json(), self._shared.journal.record.to_json())

    def _measured(self, slot: Slot, claim: Claim) -> TrialRecord:
        """Run a trial and return its record with the metrics of its file."""
        hyperparameters, journal = claim.trial.hyperparameters, self._shared.journal
        run = slot.run_trial(hyperparameters, self._runs)
        baseline = self._baseline(claim, run)
        first = claim.record.number == baseline.trial
        file = exported_file(run)
        latency = 1.0 if first else slot.measure_latency(journal.path / baseline.file, file)
        return dataclasses.replace(
            claim.record,
            run=journal.relative(Path(run.path)),
            values=dict(hyperparameters.values),
            metrics=file_metrics(run, latency),
            status="complete",
        )

    def _baseline(self, claim: Claim, run: Run) -> BaselineRecord:
        """Return what trials are compared with, when it is there."""
        made = BaselineRecord(
            trial=claim.record.number,
            file=self._shared.journal.relative(exported_file(run)),
            accuracy=float_accuracy(run),
        )
        while (found := self._shared.baseline(claim, lambda: made)) is None:
            if self._stopped.wait(_SECONDS_BETWEEN_LOOKS):
                raise RunError("The search was ended.")
        return found
