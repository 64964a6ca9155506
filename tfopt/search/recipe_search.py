"""Search over a recipe: every trial is a real run, judged by its exported file."""

from __future__ import annotations

import dataclasses
import logging
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt import _validation
from tfopt.errors import RunError
from tfopt.files import as_seen_from, write_atomically
from tfopt.run import run_folder
from tfopt.run.run_record import RecipeRecord
from tfopt.run.search_folder import read
from tfopt.run.search_record import SearchRecord, TrialRecord
from tfopt.search.failures import MachineError, is_of_the_machine, reason
from tfopt.search.foresight import Foresight, RejectedTrialError, rejected
from tfopt.search.goals.goal import Goal
from tfopt.search.goals.objectives import UnfitGoalError
from tfopt.search.identity import check_unchanged, command, digest_of, identity
from tfopt.search.journal import Journal
from tfopt.search.metrics import baseline, exported_file, file_metrics
from tfopt.search.recipe_runner import RecipeRunner
from tfopt.search.samplers import DEFAULT, check_sampler, make_oracle
from tfopt.search.spending import Spending

if TYPE_CHECKING:
    import keras_tuner

    from tfopt.pipeline import Run

RunTrial = Callable[["keras_tuner.HyperParameters", Path], "Run"]
"""Runs the recipe with these hyperparameters, which it adds to, in a folder of runs."""

Foresee = Callable[["keras_tuner.HyperParameters", Collection[str]], Foresight]
"""Tells what is known of these costs of a trial before it runs; adds to the hyperparameters as a run does."""

MeasureLatency = Callable[[Path, Path], float]
"""Returns the latency of the second file as a ratio to the first one's."""

OnTrial = Callable[[Mapping[str, Any], Mapping[str, Any]], None]
"""Is told the entry of a trial that ended and the content of `search.json`."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SearchResult:
    """A search that ended.

    Attributes:
        path: its folder, which holds `search.json`.
        typed: its record.
    """

    path: Path
    typed: SearchRecord

    @classmethod
    def load(cls, path: str | Path) -> SearchResult:
        """Return the search in the folder `path`.

        Raises:
            RunError: there is none.
        """
        return cls(Path(path), read(Path(path)))

    @property
    def record(self) -> Mapping[str, Any]:
        """The record as the content of `search.json`."""
        return self.typed.to_json()

    @property
    def best(self) -> Run | None:
        """The run of the best trial; `None` when no trial met `keep` and `max`."""
        return None if self.typed.best is None else self._run(self.typed.best)

    @property
    def front(self) -> list[Run]:
        """The runs that no other one beats in all objectives together."""
        return [self._run(number) for number in self.typed.front]

    @property
    def knee(self) -> Run | None:
        """The run where the front bends most; `None` where it does not, or there is one objective."""
        return None if self.typed.knee is None else self._run(self.typed.knee)

    def _run(self, number: int) -> Run:
        from tfopt.pipeline import Run

        return Run.load(self.path / str(self.typed.trial(number).run))


def search(
    recipe: str | Path,
    *,
    trials: int | None = None,
    hours: float | None = None,
    epochs_total: int | None = None,
    minimize: str | Sequence[str] | None = None,
    maximize: str | Sequence[str] | None = None,
    keep: Mapping[str, float] | None = None,
    max: Mapping[str, Any] | None = None,
    sampler: str = DEFAULT,
    retry_failed: bool = False,
    data: str | Path | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    strategy: str | None = None,
    on_trial: OnTrial | None = None,
) -> SearchResult:
    """Run a recipe with different hyperparameters and find the best file.

    The first trial is the recipe's defaults, the others are proposed by the sampler. Each is a run like any
    other, in `<out>/trials/`. Call it again with the same arguments to resume; a larger `trials` adds trials.

    Args:
        recipe: path of the recipe file.
        trials: how many in all, at least 1; by default 20, and any number where `hours` or `epochs_total` is
            given. Trials that are rejected before training are not counted, up to ten for each.
        hours: of the clock, over all parts of the search; a trial that began is finished.
        epochs_total: of training, added over the trials that completed; a trial that began is finished.
        minimize: the metric to make small, or a list: a cost of a trial, `"bytes"`, `"compressed_bytes"`,
            `"latency"` (as a ratio to the first trial's file, in LiteRT), `"macs"`, `"params"`, `"epochs"`,
            `"training_macs"`, `"seconds"`; or a metric that the recipe compiles, or `"loss"`, of the exported
            file on the validation split. That of one of several outputs is `"output.metric"`.
        maximize: the metric to make large, or a list, by default `"accuracy"`. Several metrics are improved
            together: see `SearchResult.front`. The best trial is then that of the front which is best in the
            first of them, those of `minimize` first.
        keep: metric of the model -> how far it may change against the float model of the first trial:
            `{"accuracy": -0.01}` lets it fall by 0.01, `{"mae": 0.1}` grow by 0.1.
        max: cost -> the most that it may be, as `tfopt.budgets.Budgets` takes it: `{"bytes": "100k",
            "macs": 0.5}`. Shares are of what the first trial costs. Trials that miss `keep` or `max` are
            ranked last; those that are known to before they train are not run.
        sampler: what proposes the trials: `"tpe"`, `"nsga2"`, `"nsga3"`, `"gp"` or `"cmaes"` of Optuna,
            `"annealing"`, or `"random"`, `"grid"` or `"bayesian"` of keras-tuner. `"cmaes"`, `"annealing"`
            and `"bayesian"` improve one metric.
        retry_failed: whether trials that failed before are run again first.
        data: what `tfopt.data.load` takes, in place of the recipe's data.
        out: folder of the searches and their runs; `saved_models/<name of the recipe>` by default.
        seed: of the random values and of every run, at least 0.
        strategy: see `tfopt.distribute.resolve`; the recipe's by default.
        on_trial: called after each trial with its entry and the content of `search.json`.

    Raises:
        InvalidArgumentError: an argument is outside its range, the recipe does not measure a metric, no model
            can keep what is asked, or the search in the folder has another goal.
        RecipeError: the recipe file cannot be read, or changed since the search began. What fails later is a
            failed trial.
        RunError: another search runs in the same folder, the machine failed, such as with a full disk, no
            trial completed, or too many failed in a row.

    Example:
        >>> result = tfopt.search("recipes/digits.py", trials=30, minimize="bytes", keep={"accuracy": -0.01})
        >>> result.best.tflite.save("model.tflite")
    """
    goal = Goal.of(minimize=minimize, maximize=maximize, keep=keep, max=max)
    spending = Spending.of(trials, hours, epochs_total)
    _validation.whole("search", "seed", seed, at_least=0)
    _validation.flag("search", "retry_failed", retry_failed)
    check_sampler(sampler, goal)
    recipe, start = Path(recipe), Path.cwd()  # a recipe may change the current folder
    digest = digest_of(recipe)
    known = identity(digest, goal, seed, data, sampler)
    given = start / data if data is not None and Path(data).exists() else data
    runner = RecipeRunner(start / recipe, given, seed, strategy)
    runner.check(goal)
    folder = as_seen_from(start, Path(out) if out is not None else Path("saved_models") / runner.name)
    options = {
        "sampler": None if sampler == DEFAULT else sampler,
        **{"data": data, "out": out, "seed": seed or None, "strategy": strategy},
    }
    about = {
        "name": runner.name,
        "id": known,
        "recipe": RecipeRecord(file=str(recipe)),
        "data": None if data is None else str(data),
        "recipe_digest": digest,
        "sampler": sampler,
        "seed": seed,
        "command": command(recipe, goal, spending, options),
        **spending.described(),
    }
    check_unchanged(folder, f"search-{known}", about, goal)
    return conduct(
        Journal(folder / f"search-{known}", goal, about),
        spending=spending,
        seed=seed,
        sampler=sampler,
        retry_failed=retry_failed,
        run_trial=runner.run,
        foresee=runner.foresee,
        measure_latency=_latency_ratio,
        runs=folder / "trials",
        on_trial=on_trial,
    )


def conduct(
    journal: Journal,
    *,
    spending: Spending,
    seed: int,
    run_trial: RunTrial,
    measure_latency: MeasureLatency,
    runs: Path,
    foresee: Foresee | None = None,
    sampler: str = DEFAULT,
    retry_failed: bool = False,
    on_trial: OnTrial | None = None,
) -> SearchResult:
    """Run what is left of a search; `search` with the running and measuring of a trial given."""
    from tfopt.oracles.durable import TooManyFailuresError
    from tfopt.search.tuner import FailedTrialError, Tuner

    def measured(trial: TrialRecord, hyperparameters: keras_tuner.HyperParameters) -> TrialRecord:
        _check_feasible(journal, hyperparameters, foresee)
        run = run_trial(hyperparameters, runs)
        where, values = journal.relative(Path(run.path)), dict(hyperparameters.values)
        metrics = _measured(journal, trial.number, run, measure_latency)
        return dataclasses.replace(trial, run=where, values=values, metrics=metrics, status="complete")

    def run_one(number: int, hyperparameters: keras_tuner.HyperParameters) -> Mapping[str, float]:
        started = time.monotonic()
        trial = journal.begin(number)
        told = journal.path / "failures" / f"{number}.txt"
        try:
            trial = _twice_if_refused(lambda: measured(trial, hyperparameters), number)
        except (MachineError, UnfitGoalError):
            raise
        except RejectedTrialError as error:
            trial = _rejected(trial, error, hyperparameters)
            raise
        except Exception as error:  # whatever a recipe does, the search continues and says so
            why, values = reason(error), dict(hyperparameters.values)
            trial = dataclasses.replace(trial, status="failed", reason=why, values=values)
            write_atomically(told, "".join(traceback.format_exception(error)))
            raise FailedTrialError(why) from error
        else:
            judged = journal.judged(trial)
            told.unlink(missing_ok=True)
        finally:
            if trial.status != "running":
                trial = journal.end(trial, time.monotonic() - started)
                logger.info("trial %d: %s", number, trial.status)
                if on_trial:
                    on_trial(trial.to_json(), journal.record.to_json())
        return judged

    def used_up() -> str | None:
        unfinished = any(trial.status == "running" for trial in journal.record.trials)
        return None if unfinished else spending.used_up(journal.record, journal.searched)

    oracle = make_oracle(sampler, journal.goal, trials=spending.trials, seed=seed)
    with (
        run_folder.locked(runs, _BUSY, clean=False),
        run_folder.locked(journal.path, _BUSY),
    ):
        journal.reread()
        journal.write()
        tuner = Tuner(run_one, oracle, journal.path, used_up)
        if retry_failed:
            logger.info("failed trials that run again: %s", ", ".join(oracle.retry_failed()) or "none")
        try:
            tuner.search()
        except TooManyFailuresError as error:
            raise RunError(f"{error} {_advice(journal)}") from error
        journal.close(used_up())
    if not journal.record.completed:
        raise RunError(f"None of {len(journal.record.trials)} trials completed. {_advice(journal)}")
    return SearchResult(journal.path, journal.record)


_BUSY = (
    "Another search ({owner}) is running in {path}. Wait for it, or give this one another folder with --out "
    "(out=)."
)


def _advice(journal: Journal) -> str:
    return (
        f"Their tracebacks are in {journal.path / 'failures'}. When the cause is gone, --retry-failed "
        "(retry_failed=True) runs them again."
    )


def _twice_if_refused(run: Callable[[], TrialRecord], number: int) -> TrialRecord:
    """Run a trial; once more where the machine failed.

    Raises:
        MachineError: it failed twice.
    """
    try:
        return run()
    except Exception as error:
        if not is_of_the_machine(error):
            raise
        logger.warning("trial %d runs again: %s", number, reason(error))
    try:
        return run()
    except Exception as error:
        if not is_of_the_machine(error):
            raise
        raise MachineError(
            f"Trial {number} cannot be run on this machine: {reason(error).rstrip('.')}. When that is "
            "mended, the same command goes on with this trial."
        ) from error


def _measured(
    journal: Journal, number: int, run: Run, measure_latency: MeasureLatency
) -> dict[str, float | None]:
    """Return the metrics of a trial's file; the first trial that has one is what others are compared with."""
    file = exported_file(run)
    named = journal.goal.of_model
    if journal.record.baseline is None:
        journal.compare_with(baseline(run, number, journal.relative(file), named))
    compared = journal.record.baseline
    assert compared is not None
    first = number == compared.trial
    latency = 1.0 if first else measure_latency(journal.path / compared.file, file)
    metrics = file_metrics(run, latency, named)
    journal.goal.check(metrics)
    if first:
        journal.goal.bounds(compared)
    return metrics


def _check_feasible(
    journal: Journal, hyperparameters: keras_tuner.HyperParameters, foresee: Foresee | None
) -> None:
    """Raise where a trial is known to be infeasible before it is run.

    The first one is always run: the others are compared with it.

    Raises:
        RejectedTrialError: it is.
    """
    compared, goal = journal.record.baseline, journal.goal
    if foresee is None or compared is None:
        return
    rejection = rejected(foresee(hyperparameters, goal.limits.limits.keys()), goal.bounds(compared))
    if rejection is not None:
        raise RejectedTrialError(rejection)


def _rejected(
    trial: TrialRecord, error: RejectedTrialError, hyperparameters: keras_tuner.HyperParameters
) -> TrialRecord:
    violations = {name: value for name, value in error.rejection.violations.items() if value > 0}
    return dataclasses.replace(
        trial,
        status="rejected",
        reason=error.rejection.reason,
        values=dict(hyperparameters.values),
        metrics=error.rejection.least,
        violations=violations,
    )


def _latency_ratio(first: Path, second: Path) -> float:
    from tfopt.measure.latency import latency

    return latency({"first": first.read_bytes(), "second": second.read_bytes()})["second"].ratio
