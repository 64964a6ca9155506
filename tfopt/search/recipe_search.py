"""Search over a recipe: every trial is a real run, judged by its exported file."""

from __future__ import annotations

import dataclasses
import functools
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
from tfopt.search.early_stopping.judge import METHODS, STOPPED, Judge, check_stages
from tfopt.search.failures import MachineError, is_of_the_machine, reason
from tfopt.search.goal import DIRECTIONS, Goal
from tfopt.search.journal import Journal, read
from tfopt.search.metrics import exported_file, file_metrics, float_accuracy
from tfopt.search.samplers import DEFAULT, check_sampler, make_oracle
from tfopt.search.warm_start import EarlierTrial, check_warm_start, earlier_trials

if TYPE_CHECKING:
    import keras_tuner

    from tfopt.pipeline import Run
    from tfopt.pipeline.training.pause import Gate

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
    early_stopping: str | None = None,
    warm_start: str | Path | Sequence[str | Path] = (),
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
        early_stopping: `"halving"` stops trials whose first epochs are worse than those of others (successive
            halving), `"hyperband"` also lets some of them train longer before they are compared. A trial
            that is not stopped has the result that it has without. See `docs/search.md`.
        warm_start: the folder of an earlier search, or several, over a recipe with some of the same
            hyperparameters and the same data. The sampler, `"tpe"` or `"gp"`, knows their finished trials
            from the start; they are not run.
        retry_failed: whether trials that failed before are run again first.
        data: what `tfopt.data.load` takes, in place of the recipe's data.
        out: folder of the searches and their runs; `saved_models/<name of the recipe>` by default.
        seed: of the random values and of every run, at least 0.
        strategy: see `tfopt.distribute.resolve`; the recipe's by default.
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
    if early_stopping is not None:
        _validation.choice("search", "early_stopping", early_stopping, METHODS)
    folders = [warm_start] if isinstance(warm_start, str | Path) else list(warm_start)
    if folders:
        check_warm_start(sampler, goal)
    recipe, start = Path(recipe), Path.cwd()  # a recipe may change the current folder
    identity = _identity(recipe, goal, seed, data, sampler, early_stopping, folders)
    given = start / data if data is not None and Path(data).exists() else data
    runner = _RecipeRunner(start / recipe, given, seed, strategy)
    name = runner.name
    folder = as_seen_from(start, Path(out) if out is not None else Path("saved_models") / name)
    judge = None
    if early_stopping is not None:
        check_stages(runner.as_it_stands.stages)
        directions = {metric: DIRECTIONS[metric] for metric in goal.metrics}
        kept = {metric: DIRECTIONS[metric] for metric in goal.keep}
        judge = Judge.of(folder / f"search-{identity}", early_stopping, directions, kept)
    space = runner.declare().space if folders else []
    earlier = earlier_trials([start / folder for folder in folders], goal, space)
    options = {
        "sampler": None if sampler == DEFAULT else sampler,
        "early-stopping": early_stopping,
        **{"data": data, "out": out, "seed": seed or None, "strategy": strategy},
    }
    about = {
        "name": name,
        "id": identity,
        "recipe": RecipeRecord(file=str(recipe)),
        "sampler": sampler,
        "early_stopping": early_stopping,
        "earlier": {name: len(found) for name, found in earlier.items()} or None,
        "command": _command(recipe, goal, trials, options, folders),
    }
    return conduct(
        Journal(folder / f"search-{identity}", goal, about | {"seed": seed, "requested_trials": trials}),
        trials=trials,
        seed=seed,
        sampler=sampler,
        retry_failed=retry_failed,
        run_trial=functools.partial(runner.run_trial, gate=judge),
        measure_latency=_latency_ratio,
        runs=folder / "trials",
        judge=judge,
        earlier=[trial for found in earlier.values() for trial in found],
        space=space,
        on_trial=on_trial,
    )


def _identity(
    recipe: Path,
    goal: Goal,
    seed: int,
    data: str | Path | None,
    sampler: str,
    early_stopping: str | None,
    earlier: Sequence[str | Path],
) -> str:
    """Return what tells a search from others over the same recipe, as 8 hex digits."""
    source = hashlib.sha256(source_of(recipe).encode()).hexdigest()
    where = None if data is None else str(Path(data).resolve())
    parts = [source, goal.metrics, dict(goal.keep), seed, where, sampler]
    parts += [] if early_stopping is None else [early_stopping]
    parts += [str(Path(folder).resolve()) for folder in earlier]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:8]


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
    judge: Judge | None = None,
    earlier: Sequence[EarlierTrial] = (),
    space: Sequence[Any] = (),
    on_trial: OnTrial | None = None,
) -> SearchResult:
    """Run what is left of a search; `search` with the running and measuring of a trial given."""
    from tfopt.oracles import OptunaOracle
    from tfopt.oracles.durable import TooManyFailuresError
    from tfopt.search.tuner import FailedTrialError, StoppedTrialError, Tuner

    def measured(trial: TrialRecord, hyperparameters: keras_tuner.HyperParameters) -> TrialRecord:
        run = run_trial(hyperparameters, runs)
        where, values = journal.relative(Path(run.path)), dict(hyperparameters.values)
        trial = dataclasses.replace(trial, run=where, values=values, epochs=run.typed.epochs)
        if judge is not None and run.typed.status == STOPPED:
            return judge.stopped(trial, Path(run.path).name)
        metrics = _measured(journal, trial.number, run, measure_latency)
        if judge is not None:
            judge.finished(Path(run.path).name, metrics)
        return dataclasses.replace(trial, metrics=metrics, status="complete")

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
            told.unlink(missing_ok=True)
            if judge is not None and trial.status == STOPPED:
                raise StoppedTrialError(trial.epochs or 0, judge.objective(trial, journal.goal.metrics))
            judged = journal.judged(trial)
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
        promoted = tuple if judge is None else lambda: judge.promoted_trials(journal.record)
        tuner = Tuner(run_one, oracle, journal.path, promoted)
        if earlier:
            assert isinstance(oracle, OptunaOracle), "check_warm_start lets no others through"
            oracle.learn({each.key: (each.values, each.metrics) for each in earlier}, space)
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


class _RecipeRunner:
    """Runs a recipe with the hyperparameters of a trial.

    Raises:
        RecipeError: whatever is wrong with the file itself is said now, not once for every trial.
    """

    def __init__(self, recipe: Path, data: str | Path | None, seed: int, strategy: str | None) -> None:
        from tfopt.recipe.recipe import Recipe

        self._recipe, self._data, self._seed, self._strategy = recipe, data, seed, strategy
        self.as_it_stands = Recipe.from_file(recipe, data=data)
        self.name = self.as_it_stands.name or recipe.stem

    def declare(self) -> keras_tuner.HyperParameters:
        """Return the hyperparameters that the recipe asks for, also those in its functions."""
        return self.as_it_stands.declare()

    def run_trial(
        self, hyperparameters: keras_tuner.HyperParameters, runs: Path, gate: Gate | None = None
    ) -> Run:
        """Run the recipe with these hyperparameters, which it adds to, in a folder of runs."""
        import keras

        from tfopt.recipe.recipe import Recipe

        # The memory of the trial before must not add up, nor the names that Keras counts.
        keras.utils.clear_session()
        made = Recipe.from_file(self._recipe, data=self._data, hyperparameters=hyperparameters)
        # A run shows its metrics on the test split, by which nobody may choose.
        return made.run(runs, seed=self._seed, strategy=self._strategy, share=True, gate=gate, quiet=True)


def _latency_ratio(first: Path, second: Path) -> float:
    from tfopt.measure.latency import latency

    return latency({"first": first.read_bytes(), "second": second.read_bytes()})["second"].ratio


def _command(
    recipe: Path, goal: Goal, trials: int, options: Mapping[str, Any], earlier: Sequence[str | Path]
) -> str:
    words = ["tfopt", "search", str(recipe), "--trials", str(trials)]
    for name in goal.metrics:
        words += ["--minimize" if DIRECTIONS[name] == "min" else "--maximize", name]
    for name, change in goal.keep.items():
        words += ["--keep", f"{name}={change}"]
    for name, value in options.items():
        words += [] if value is None else [f"--{name}", str(value)]
    for folder in earlier:
        words += ["--warm-start", str(folder)]
    return shlex.join(words)
