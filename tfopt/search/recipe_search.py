"""Search over a recipe: every trial is a real run, judged by its exported file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import shlex
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt import _validation
from tfopt.errors import RunError
from tfopt.files import as_seen_from, write_atomically
from tfopt.recipe.file import source_of
from tfopt.run import run_folder
from tfopt.run.run_record import RecipeRecord
from tfopt.run.search_record import BaselineRecord, SearchRecord, TrialRecord
from tfopt.search.failures import MachineError, is_of_the_machine, reason
from tfopt.search.goal import DIRECTIONS, Goal
from tfopt.search.journal import Journal, read
from tfopt.search.metrics import exported_file, file_metrics, float_accuracy
from tfopt.search.samplers import DEFAULT, check_sampler, make_oracle

if TYPE_CHECKING:
    import keras_tuner

    from tfopt.pipeline import Run

RunTrial = Callable[["keras_tuner.HyperParameters", Path], "Run"]
"""Runs the recipe with these hyperparameters, which it adds to, in a folder of runs."""

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
        """The run of the best trial; `None` when no trial met `keep`."""
        return None if self.typed.best is None else self._run(self.typed.best)

    @property
    def front(self) -> list[Run]:
        """The runs that no other one beats in accuracy, bytes and latency."""
        return [self._run(number) for number in self.typed.front]

    def _run(self, number: int) -> Run:
        from tfopt.pipeline import Run

        return Run.load(self.path / str(self.typed.trial(number).run))


def search(
    recipe: str | Path,
    *,
    trials: int = 20,
    minimize: str | Sequence[str] | None = None,
    maximize: str | Sequence[str] | None = None,
    keep: Mapping[str, float] | None = None,
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
        trials: how many in all, at least 1.
        minimize: the metric of the exported file to make small, or a list: `"bytes"`, `"compressed_bytes"`,
            `"latency"` (as a ratio to the first trial's file, in LiteRT).
        maximize: the metric to make large, by default `"accuracy"`, on the validation split. Several metrics
            are improved together: see `SearchResult.front`. The best trial is then that of the front which
            is best in the first of them, those of `minimize` first.
        keep: `{"accuracy": -0.01}` ranks a file last whose accuracy falls more than 0.01 below the float
            model of the first trial.
        sampler: what proposes the trials: `"tpe"`, `"nsga2"`, `"nsga3"`, `"gp"` or `"cmaes"` of Optuna,
            `"annealing"`, or `"random"`, `"grid"` or `"bayesian"` of keras-tuner. `"cmaes"`, `"annealing"`
            and `"bayesian"` improve one metric.
        retry_failed: whether trials that failed before are run again first.
        data: what `tfopt.data.load` takes, in place of the recipe's data.
        out: folder of the searches and their runs; `saved_models/<name of the recipe>` by default.
        seed: of the random values and of every run, at least 0.
        strategy: see `tfopt.distribute.resolve`; the recipe's by default. Not `"multi_worker"`.
        on_trial: called after each trial with its entry and the content of `search.json`.

    Raises:
        InvalidArgumentError: an argument is outside its range.
        RecipeError: the recipe file cannot be read. What fails later is a failed trial.
        RunError: another search runs in the same folder, the machine failed, such as with a full disk, no
            trial completed, or too many failed in a row.

    Example:
        >>> result = tfopt.search("recipes/digits.py", trials=30, minimize="bytes", keep={"accuracy": -0.01})
        >>> result.best.tflite.save("model.tflite")
    """
    goal = Goal.of(minimize=minimize, maximize=maximize, keep=keep)
    _validation.whole("search", "trials", trials, at_least=1)
    _validation.whole("search", "seed", seed, at_least=0)
    _validation.flag("search", "retry_failed", retry_failed)
    check_sampler(sampler, goal)
    recipe, start = Path(recipe), Path.cwd()  # a recipe may change the current folder
    identity = _identity(recipe, goal, seed, data, sampler)
    given = start / data if data is not None and Path(data).exists() else data
    run_trial, name = _recipe_runner(start / recipe, given, seed, strategy)
    folder = as_seen_from(start, Path(out) if out is not None else Path("saved_models") / name)
    options = {
        "sampler": None if sampler == DEFAULT else sampler,
        **{"data": data, "out": out, "seed": seed or None, "strategy": strategy},
    }
    about = {
        "name": name,
        "id": identity,
        "recipe": RecipeRecord(file=str(recipe)),
        "sampler": sampler,
        "command": _command(recipe, goal, trials, options),
    }
    return conduct(
        Journal(folder / f"search-{identity}", goal, about | {"seed": seed, "requested_trials": trials}),
        trials=trials,
        seed=seed,
        sampler=sampler,
        retry_failed=retry_failed,
        run_trial=run_trial,
        measure_latency=_latency_ratio,
        runs=folder / "trials",
        on_trial=on_trial,
    )


def _identity(recipe: Path, goal: Goal, seed: int, data: str | Path | None, sampler: str) -> str:
    """Return what tells a search from others over the same recipe, as 8 hex digits."""
    source = hashlib.sha256(source_of(recipe).encode()).hexdigest()
    where = None if data is None else str(Path(data).resolve())
    parts = json.dumps([source, goal.metrics, dict(goal.keep), seed, where, sampler])
    return hashlib.sha256(parts.encode()).hexdigest()[:8]


def conduct(
    journal: Journal,
    *,
    trials: int,
    seed: int,
    run_trial: RunTrial,
    measure_latency: MeasureLatency,
    runs: Path,
    sampler: str = DEFAULT,
    retry_failed: bool = False,
    on_trial: OnTrial | None = None,
) -> SearchResult:
    """Run what is left of a search; `search` with the running and measuring of a trial given."""
    from tfopt.oracles.durable import TooManyFailuresError
    from tfopt.search.tuner import FailedTrialError, Tuner

    def measured(trial: TrialRecord, hyperparameters: keras_tuner.HyperParameters) -> TrialRecord:
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
        except MachineError:
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
                logger.info("trial %d of %d: %s", number, trials, trial.status)
                if on_trial:
                    on_trial(trial.to_json(), journal.record.to_json())
        return judged

    oracle = make_oracle(sampler, journal.goal, trials=trials, seed=seed)
    with (
        run_folder.locked(runs, _BUSY, clean=False),
        run_folder.locked(journal.path, _BUSY),
    ):
        journal.reread()
        journal.write()
        tuner = Tuner(run_one, oracle, journal.path)
        if retry_failed:
            logger.info("failed trials that run again: %s", ", ".join(oracle.retry_failed()) or "none")
        try:
            tuner.search()
        except TooManyFailuresError as error:
            raise RunError(f"{error} {_advice(journal)}") from error
        journal.close()
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
    baseline = journal.record.baseline
    if baseline is None:
        baseline = BaselineRecord(trial=number, file=journal.relative(file), accuracy=float_accuracy(run))
        journal.compare_with(baseline)
    first = number == baseline.trial
    latency = 1.0 if first else measure_latency(journal.path / baseline.file, file)
    return file_metrics(run, latency)


def _recipe_runner(
    recipe: Path, data: str | Path | None, seed: int, strategy: str | None
) -> tuple[RunTrial, str]:
    """Return what runs a trial, and the name of the recipe's runs."""
    from tfopt.distribute import check_single_process
    from tfopt.recipe.recipe import Recipe

    # Whatever is wrong with the file itself is said now, not once for every trial.
    first = Recipe.from_file(recipe, data=data)
    name = first.name or recipe.stem
    check_single_process("search", first.strategy if strategy is None else strategy)

    def run_trial(hyperparameters: keras_tuner.HyperParameters, runs: Path) -> Run:
        import keras

        # The memory of the trial before must not add up, nor the names that Keras counts.
        keras.utils.clear_session()
        made = Recipe.from_file(recipe, data=data, hyperparameters=hyperparameters)
        # A run shows its metrics on the test split, by which nobody may choose.
        return made.run(runs, seed=seed, strategy=strategy, quiet=True)

    return run_trial, name


def _latency_ratio(first: Path, second: Path) -> float:
    from tfopt.measure.latency import latency

    return latency({"first": first.read_bytes(), "second": second.read_bytes()})["second"].ratio


def _command(recipe: Path, goal: Goal, trials: int, options: Mapping[str, Any]) -> str:
    words = ["tfopt", "search", str(recipe), "--trials", str(trials)]
    for name in goal.metrics:
        words += ["--minimize" if DIRECTIONS[name] == "min" else "--maximize", name]
    for name, change in goal.keep.items():
        words += ["--keep", f"{name}={change}"]
    for name, value in options.items():
        words += [] if value is None else [f"--{name}", str(value)]
    return shlex.join(words)
