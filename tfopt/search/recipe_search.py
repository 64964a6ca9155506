"""Search over a recipe: every trial is a real run, judged by its exported file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfopt import _validation
from tfopt.files import as_seen_from
from tfopt.run.run_record import RecipeRecord
from tfopt.run.search_folder import read
from tfopt.run.search_record import SearchRecord
from tfopt.search.conduct import OnTrial, conduct
from tfopt.search.early_stopping.judge import METHODS, Judge, check_stages
from tfopt.search.executors.engines import LOCAL, check_engine, slots_of
from tfopt.search.goals.goal import Goal
from tfopt.search.hparams import write_hparams
from tfopt.search.identity import check_unchanged, command, digest_of, identity
from tfopt.search.journal import Journal
from tfopt.search.recipe_runner import RecipeRunner
from tfopt.search.samplers import DEFAULT, check_sampler
from tfopt.search.spending import Spending
from tfopt.search.warm_start import check_warm_start, earlier_trials

if TYPE_CHECKING:
    from tfopt.pipeline import Run


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
    early_stopping: str | None = None,
    warm_start: str | Path | Sequence[str | Path] = (),
    retry_failed: bool = False,
    data: str | Path | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    strategy: str | None = None,
    workers: int | None = None,
    engine: str = LOCAL,
    address: str | None = None,
    resources: Mapping[str, float] | None = None,
    on_trial: OnTrial | None = None,
) -> SearchResult:
    """Run a recipe with different hyperparameters and find the best file.

    The first trial is the recipe's defaults, the others are proposed by the sampler. Each is a run like any
    other, in `<out>/trials/`. Call it again with the same arguments to resume; a larger `trials` adds trials.
    Call it in another process, also of another machine that sees the folder, to work on the same search.

    Args:
        recipe: path of the recipe file.
        trials: how many in all, at least 1; by default 20, and any number where `hours` or `epochs_total` is
            given. Trials that are rejected before training are not counted, up to ten for each.
        hours: of the clock, over all parts of the search; a trial that began is finished.
        epochs_total: of training, added over the runs of trials that completed or were stopped early; a stage
            that several share counts once. A trial that began is finished.
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
        strategy: see `tfopt.distribute.resolve`; the recipe's by default. Not `"multi_worker"`.
        workers: how many trials run at once, at least 1. With one, trials run in this process; with more,
            each in a process of its own, which gets its share of the CPU's threads and a GPU where there are.
            By default 1, and with Ray as many as the cluster has resources for.
        engine: `"local"`, or `"ray"` for trials on the nodes of a Ray cluster, which see the folder under the
            same name.
        address: of the Ray cluster: `"auto"` for the one of this machine, or `"ray://host:port"`; by default
            one that is started here for the search.
        resources: of each trial on a Ray cluster, such as `{"CPU": 4, "GPU": 1}`; by default one CPU, and one
            GPU where the cluster has GPUs.
        on_trial: called after each trial with its entry and the content of `search.json`.

    Raises:
        InvalidArgumentError: an argument is outside its range, the recipe does not measure a metric, no model
            can keep what is asked, or the search in the folder has another goal.
        RecipeError: the recipe file cannot be read, or changed since the search began. What fails later is a
            failed trial.
        RunError: the machine failed, such as with a full disk, no Ray cluster answers at the address, no
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
    check_engine(engine, workers=workers, address=address, resources=resources)
    if early_stopping is not None:
        _validation.choice("search", "early_stopping", early_stopping, METHODS)
    folders = [warm_start] if isinstance(warm_start, str | Path) else list(warm_start)
    if folders:
        check_warm_start(sampler, goal)
    recipe, start = Path(recipe), Path.cwd()  # a recipe may change the current folder
    digest = digest_of(recipe)
    known = identity(digest, goal, seed, data, sampler, early_stopping, folders)
    given = start / data if data is not None and Path(data).exists() else data
    runner = RecipeRunner(start / recipe, given, seed, strategy)
    runner.check(goal)
    folder = as_seen_from(start, Path(out) if out is not None else Path("saved_models") / runner.name)
    path = folder / f"search-{known}"
    if early_stopping is not None:
        check_stages(runner.stages)
        runner.judge = Judge.of(path, early_stopping, goal.directions, goal.kept_directions)
    space = runner.declare().space if folders else []
    earlier = earlier_trials([start / each for each in folders], goal, space)
    options = {
        "sampler": None if sampler == DEFAULT else sampler,
        "early-stopping": early_stopping,
        **{"data": data, "out": out, "seed": seed or None, "strategy": strategy},
        **{"workers": workers, "engine": None if engine == LOCAL else engine, "address": address},
    }
    about = {
        "name": runner.name,
        "id": known,
        "recipe": RecipeRecord(file=str(recipe)),
        "data": None if data is None else str(data),
        "recipe_digest": digest,
        "sampler": sampler,
        "seed": seed,
        "early_stopping": early_stopping,
        "earlier": {name: len(found) for name, found in earlier.items()} or None,
        "command": command(recipe, goal, spending, options, folders),
        **spending.described(),
    }
    check_unchanged(folder, f"search-{known}", about, goal)
    journal = Journal(path, goal, about)
    with slots_of(runner, engine, workers=workers, address=address, resources=resources) as slots:
        record = conduct(
            journal,
            spending=spending,
            seed=seed,
            sampler=sampler,
            judge=runner.judge,
            earlier=[trial for found in earlier.values() for trial in found],
            space=space,
            retry_failed=retry_failed,
            slots=slots,
            runs=folder / "trials",
            on_trial=on_trial,
        )
    write_hparams(path, record)
    return SearchResult(path, record)
