"""Search over a recipe: every trial is a real run, judged by the file that came out."""

from __future__ import annotations

import hashlib
import json
import shlex
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt import _validation
from tfopt.errors import TfoptError
from tfopt.files import as_seen_from, write_atomically
from tfopt.recipe.file import source_of
from tfopt.run import run_folder
from tfopt.search.figures import exported_file, figures, float_figures
from tfopt.search.goal import Goal
from tfopt.search.journal import Journal, read

if TYPE_CHECKING:
    import keras_tuner

    from tfopt.pipeline import Run

RunTrial = Callable[["keras_tuner.HyperParameters", Path], "Run"]
"""Runs the recipe with these hyperparameters, which it adds to, in a folder of runs."""

MeasureLatency = Callable[[Path, Path], float]
"""Returns the latency of the second file as a ratio to the first one's."""

OnTrial = Callable[[Mapping[str, Any], Mapping[str, Any]], None]
"""Is told the entry of a trial that ended and the record of the whole search."""


@dataclass(frozen=True)
class SearchResult:
    """A search that ended.

    Attributes:
        path: its folder; `search.json` lies there.
        record: the content of `search.json`.
    """

    path: Path
    record: Mapping[str, Any]

    @classmethod
    def load(cls, path: str | Path) -> SearchResult:
        """Return the search in the folder `path`.

        Raises:
            RunError: there is none.
        """
        return cls(Path(path), read(Path(path)))

    @property
    def best(self) -> Run | None:
        """The run of the best trial; `None` when no trial met `keep`."""
        number = self.record["best"]
        return None if number is None else self._run(number)

    @property
    def front(self) -> list[Run]:
        """The runs that no other one beats in accuracy, bytes and latency."""
        return [self._run(number) for number in self.record["front"]]

    def _run(self, number: int) -> Run:
        from tfopt.pipeline import Run

        entry = next(trial for trial in self.record["trials"] if trial["number"] == number)
        return Run.load(self.path / entry["run"])


def search(
    recipe: str | Path,
    *,
    trials: int = 20,
    minimize: str | None = None,
    maximize: str | None = None,
    keep: Mapping[str, float] | None = None,
    data: str | Path | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    strategy: str | None = None,
    on_trial: OnTrial | None = None,
) -> SearchResult:
    """Run a recipe with different hyperparameters and find the best file.

    The first trial is the recipe's defaults, the others are drawn at random. Each is a run like any other,
    in `<out>/trials/`. Call it again with the same arguments to resume; a larger `trials` adds trials.

    Args:
        recipe: path of the recipe file.
        trials: how many in all, at least 1.
        minimize: the figure of the exported file to make small: `"bytes"`, `"compressed_bytes"` or
            `"latency"` (as a ratio to the first trial's file, in LiteRT).
        maximize: figure to maximise, by default `"accuracy"`, on the validation split.
        keep: `{"accuracy": -0.01}` ranks a file last whose accuracy falls more than 0.01 below the float
            model of the first trial.
        data: what `tfopt.data.load` takes, in place of the recipe's data.
        out: folder of the searches and their runs; `saved_models/<name of the recipe>` by default.
        seed: of the random values and of every run, at least 0.
        strategy: see `tfopt.distribute.resolve`; the recipe's by default.
        on_trial: called after each trial with its entry and the record.

    Returns:
        The result: `best`, `front` and `record`.

    Raises:
        InvalidArgumentError: an argument is outside its range.
        RecipeError: the recipe file cannot be read. What fails later is a failed trial.

    Example:
        >>> result = tfopt.search("recipes/digits.py", trials=30, minimize="bytes", keep={"accuracy": -0.01})
        >>> result.best.tflite.save("model.tflite")
    """
    goal = Goal.of(minimize=minimize, maximize=maximize, keep=keep)
    for name, value, lowest in (("trials", trials, 1), ("seed", seed, 0)):
        _validation.whole("search", name, value, at_least=lowest)
    recipe, start = Path(recipe), Path.cwd()  # a recipe may change the current folder
    source = source_of(recipe).encode()
    where = None if data is None else str(Path(data).resolve())
    given = start / data if data is not None and Path(data).exists() else data
    run_trial, name = _recipe_runner(start / recipe, given, seed, strategy)
    folder = as_seen_from(start, Path(out) if out is not None else Path("saved_models") / name)
    identity = json.dumps([hashlib.sha256(source).hexdigest(), goal.metric, dict(goal.keep), seed, where])
    path = folder / f"search-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"
    about = {
        "name": name,
        "id": path.name.removeprefix("search-"),
        "recipe": {"file": str(recipe)},
        "seed": seed,
        "requested_trials": trials,
        "command": _command(
            recipe, goal, trials, {"data": data, "out": out, "seed": seed or None, "strategy": strategy}
        ),
    }
    return conduct(
        Journal(path, goal, about),
        trials=trials,
        seed=seed,
        run_trial=run_trial,
        measure_latency=_latency_ratio,
        runs=folder / "trials",
        on_trial=on_trial,
    )


def conduct(
    journal: Journal,
    *,
    trials: int,
    seed: int,
    run_trial: RunTrial,
    measure_latency: MeasureLatency,
    runs: Path,
    on_trial: OnTrial | None = None,
) -> SearchResult:
    """Run what is left of a search; `search` with the running and measuring of a trial given."""
    from tfopt.search.tuner import FailedTrialError, Tuner

    def trial(number: int, hyperparameters: keras_tuner.HyperParameters) -> float:
        started = time.monotonic()
        entry = journal.begin(number)
        try:
            run = run_trial(hyperparameters, runs)
            entry |= {"run": journal.relative(Path(run.path)), "values": dict(hyperparameters.values)}
            file = exported_file(run)
            baseline = journal.record["baseline"]
            if baseline is None:
                baseline = {"trial": number, "file": journal.relative(file), **float_figures(run)}
                journal.record["baseline"] = baseline
            first = journal.path / baseline["file"]
            latency = 1.0 if number == baseline["trial"] else measure_latency(first, file)
            entry["figures"] = figures(run, latency)
            score = journal.goal.score(entry["figures"], baseline)
            entry["status"] = "complete"
        except Exception as error:  # whatever a recipe does, the search continues and says so
            entry |= {"status": "failed", "reason": _reason(error), "values": dict(hyperparameters.values)}
            write_atomically(journal.path / "failures" / f"{number}.txt", traceback.format_exc())
            raise FailedTrialError(entry["reason"]) from error
        finally:
            if entry["status"] != "running":
                journal.end(entry, started)
                if on_trial:
                    on_trial(entry, journal.record)
        return score

    with run_folder.locked(journal.path):
        journal.write()
        Tuner(trial, trials=trials, seed=seed, directory=journal.path).search()
        journal.close()
    return SearchResult(journal.path, journal.record)


def _recipe_runner(
    recipe: Path, data: str | Path | None, seed: int, strategy: str | None
) -> tuple[RunTrial, str]:
    """Return what runs a trial, and the name of the recipe's runs."""
    from tfopt.recipe.recipe import Recipe

    # Whatever is wrong with the file itself is said now, not once for every trial.
    name = Recipe.from_file(recipe, data=data).name or recipe.stem

    def run_trial(hyperparameters: keras_tuner.HyperParameters, runs: Path) -> Run:
        import keras

        # The memory of the trial before must not add up, nor the names that Keras counts.
        keras.utils.clear_session()
        made = Recipe.from_file(recipe, data=data, hyperparameters=hyperparameters)
        return made.run(runs, seed=seed, strategy=strategy)

    return run_trial, name


def _latency_ratio(first: Path, second: Path) -> float:
    from tfopt.measure.latency import latency

    return latency({"first": first.read_bytes(), "second": second.read_bytes()})["second"].ratio


def _command(recipe: Path, goal: Goal, trials: int, options: Mapping[str, Any]) -> str:
    words = ["tfopt", "search", str(recipe), "--trials", str(trials)]
    words += ["--minimize" if goal.direction == "min" else "--maximize", goal.metric]
    for name, change in goal.keep.items():
        words += ["--keep", f"{name}={change}"]
    for name, value in options.items():
        words += [] if value is None else [f"--{name}", str(value)]
    return shlex.join(words)


def _reason(error: Exception) -> str:
    """Return why a trial failed, in one line; a defect keeps the name of its kind."""
    line = next(iter(str(error).strip().splitlines()), "")
    return line if isinstance(error, TfoptError) and line else f"{type(error).__name__}: {line}".rstrip(": ")
