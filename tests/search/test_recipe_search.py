"""The logic of a search, with runs that are made up. Real ones: tests/integration/test_search.py."""

import dataclasses
import errno
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

import tfopt
from tests.at_length import some
from tfopt.errors import InvalidArgumentError, RecipeError, RunError
from tfopt.report.trials import conclusion
from tfopt.run.run_record import RunRecord
from tfopt.search.conduct import conduct
from tfopt.search.executors.slot import InProcess
from tfopt.search.foresight import Foresight
from tfopt.search.goals.goal import Goal
from tfopt.search.journal import Journal
from tfopt.search.recipe_search import SearchResult, search
from tfopt.search.samplers import SAMPLERS, check_sampler
from tfopt.search.spending import Spending


class FakeRecipe:
    """Stands for a recipe: wider is more accurate and larger."""

    def __init__(self, fail=(), interrupt=None):
        self.fail, self.interrupt, self.calls = fail, interrupt, []

    def __call__(self, hp, runs):
        if len(self.calls) == self.interrupt:
            raise KeyboardInterrupt
        width = hp.Int("width", 1, 64, default=16)
        hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-2)
        self.calls.append(dict(hp.values))
        if len(self.calls) - 1 in self.fail:
            raise RunError("It would not.\nAt all.")
        path = runs / f"{width}-{hp.get('lr'):.6f}"
        path.mkdir(parents=True, exist_ok=True)
        (path / "model.tflite").write_bytes(bytes(width))
        stages = [
            {"name": "train", "validation": {"loss": 0.1, "accuracy": 0.9}},
            {
                "name": "export_tflite",
                "file": "model.tflite",
                "validation": {"loss": 0.1, "accuracy": 0.85 + width / 640},
                "bytes": 100 * width,
                "compressed_bytes": 50 * width,
            },
        ]
        return SimpleNamespace(path=path, typed=RunRecord.from_json({"stages": stages}))


def latency(first, second):
    return second.stat().st_size / first.stat().st_size


def run_search(path, recipe, *, trials=6, seed=0, goal=None, spending=None, foresee=None, **kwargs):
    goal = goal or Goal.of(minimize="bytes")
    spending = spending or Spending(trials=trials)
    record = conduct(
        Journal(path, goal, {"name": "fake", "seed": seed, **spending.described()}),
        spending=spending,
        seed=seed,
        **{
            "slots": [InProcess(recipe, latency, foresee=foresee)],
            "runs": path / "trials",
            **kwargs,
        },
    )
    return SearchResult(path, record)


def test_first_trial_is_the_defaults_and_the_others_differ(tmp_path):
    recipe = FakeRecipe()
    result = run_search(tmp_path, recipe)
    assert recipe.calls[0] == {"width": 16, "lr": 1e-2}
    assert len({tuple(call.values()) for call in recipe.calls}) == 6
    assert [trial["number"] for trial in result.record["trials"]] == list(range(1, 7))
    assert [trial["values"] for trial in result.record["trials"]] == recipe.calls
    assert result.record["status"] == "complete"


def test_best_and_front_come_from_the_file(tmp_path):
    result = run_search(tmp_path, FakeRecipe())
    trials = result.record["trials"]
    assert result.record["best"] == min(trials, key=lambda trial: trial["figures"]["bytes"])["number"]
    assert result.record["front"] == [result.record["best"]]
    assert trials[0]["figures"]["latency"] == 1.0


def test_infeasible_trials_are_ranked_last(tmp_path):
    goal = Goal.of(minimize="bytes", keep={"accuracy": -0.02})
    record = run_search(tmp_path, FakeRecipe(), goal=goal, trials=12).record
    feasible = [trial for trial in record["trials"] if trial["figures"]["accuracy"] >= 0.9 - 0.02 - 1e-7]
    assert 0 < len(feasible) < 12
    assert [trial["number"] for trial in record["trials"] if trial["feasible"]] == [
        t["number"] for t in feasible
    ]
    assert record["best"] == min(feasible, key=lambda trial: trial["figures"]["bytes"])["number"]
    assert set(record["front"]) <= {trial["number"] for trial in feasible}


def test_a_failed_trial_is_told_and_the_search_goes_on(tmp_path):
    result = run_search(tmp_path, FakeRecipe(fail=(1, 2, 3, 4)), trials=7)
    statuses = [trial["status"] for trial in result.record["trials"]]
    assert statuses == ["complete", "failed", "failed", "failed", "failed", "complete", "complete"]
    assert result.record["trials"][1]["reason"] == "It would not."
    assert result.record["trials"][1]["values"]
    assert "Traceback" in (tmp_path / "failures" / "2.txt").read_text()


def test_nothing_completed_is_an_error(tmp_path):
    with pytest.raises(RunError, match=r"None of 3 trials completed. .*failures.* --retry-failed"):
        run_search(tmp_path, FakeRecipe(fail=range(100)), trials=3)
    result = SearchResult.load(tmp_path)
    assert result.record["best"] is None
    assert result.record["front"] == []
    assert result.best is None
    assert result.record["status"] == "complete"


def test_failed_trials_run_again_where_that_is_asked_for(tmp_path):
    run_search(tmp_path, FakeRecipe(fail=(1, 2)), trials=4)
    again = FakeRecipe()
    assert run_search(tmp_path, again, trials=4).typed.completed == 2, "a failure is final"
    assert not again.calls
    result = run_search(tmp_path, again, trials=4, retry_failed=True)
    assert [trial["status"] for trial in result.record["trials"]] == ["complete"] * 4
    assert len(again.calls) == 2
    assert not [*(tmp_path / "failures").iterdir()]


def test_many_failures_in_a_row_end_a_search(tmp_path):
    recipe = FakeRecipe(fail=range(1, 100))
    with pytest.raises(
        RunError, match=r"10 trials in a row failed; the last one: It would not\. .*--retry-failed"
    ):
        run_search(tmp_path, recipe, trials=30)
    assert len(recipe.calls) == 11
    assert run_search(tmp_path, FakeRecipe(), trials=30, retry_failed=True).typed.completed == 30


class FullDisk(FakeRecipe):
    """A recipe whose runs cannot be written a few times, as `tfopt.files` says it."""

    def __init__(self, refusals):
        super().__init__()
        self.refusals = refusals

    def __call__(self, hp, runs):
        if len(self.calls) == 2 and self.refusals:
            self.refusals -= 1
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as error:
                raise RunError("Cannot write model.keras: No space left on device.") from error
        return super().__call__(hp, runs)


def test_a_failure_of_the_machine_is_tried_again(tmp_path):
    assert run_search(tmp_path, FullDisk(1), trials=4).typed.completed == 4


def test_a_machine_that_keeps_failing_ends_the_search_which_then_goes_on(tmp_path):
    whole = FakeRecipe()
    run_search(tmp_path / "whole", whole, trials=4)
    with pytest.raises(
        RunError, match=r"Trial 3 cannot be run on this machine: Cannot write model.keras: No space"
    ):
        run_search(tmp_path, FullDisk(2), trials=4)
    assert [trial.status for trial in SearchResult.load(tmp_path).typed.trials] == [
        *["complete"] * 2,
        "running",
    ]
    rest = FakeRecipe()
    run_search(tmp_path, rest, trials=4)
    assert rest.calls == whole.calls[2:]


def test_a_run_that_does_not_measure_the_goal_ends_the_search(tmp_path):
    class Regression(FakeRecipe):
        def __call__(self, hp, runs):
            run = super().__call__(hp, runs)
            stage = {"file": "model.tflite", "validation": {"loss": 0.1}, "bytes": 3}
            return SimpleNamespace(path=run.path, typed=RunRecord.from_json({"stages": [stage]}))

    recipe = Regression()
    with pytest.raises(InvalidArgumentError, match="no metric 'accuracy'; it has loss, and the costs bytes"):
        run_search(tmp_path, recipe, goal=Goal.of(maximize="accuracy"))
    assert len(recipe.calls) == 1


def test_two_searches_at_once_share_a_folder(tmp_path):
    """The same search is joined, and another one over the same runs goes its own way."""
    started = []

    def begin_another(entry, record):
        if not started:
            started.append(1)
            for name in ("one", "another"):
                others = FakeRecipe()
                run_search(tmp_path / name, others, trials=5, runs=tmp_path / "trials")
                started.append(others.calls)

    first = FakeRecipe()
    run_search(tmp_path / "one", first, trials=5, runs=tmp_path / "trials", on_trial=begin_another)
    _, joined, another = started
    assert len(first.calls) == 1, "the other did the rest"
    assert len(joined) == 4
    assert another == first.calls + joined
    for name in ("one", "another"):
        assert [trial.status for trial in SearchResult.load(tmp_path / name).typed.trials] == ["complete"] * 5


def test_a_failed_trial_leaves_one_traceback_in_its_file_and_none_on_the_screen(tmp_path, capfd):
    run_search(tmp_path, FakeRecipe(fail=(1,)), trials=3)
    out, err = capfd.readouterr()
    assert "Traceback" not in out + err
    assert (tmp_path / "failures" / "2.txt").read_text().count("Traceback") == 1


@pytest.mark.parametrize("sampler", some(SAMPLERS, ("nsga2", "annealing", "grid")))
def test_every_sampler(tmp_path, sampler):
    if sampler == "gp":
        pytest.importorskip("torch")
    goal = Goal.of(minimize="bytes", keep={"accuracy": -0.02})
    recipe = FakeRecipe()
    trials = 8 if sampler == "bayesian" else 14
    result = run_search(tmp_path, recipe, trials=trials, goal=goal, sampler=sampler)
    assert result.typed.completed == trials
    assert recipe.calls[0] == {"width": 16, "lr": 1e-2}
    assert len({tuple(call.values()) for call in recipe.calls}) == trials
    if sampler != "grid":  # which does not get beyond the first width
        assert result.typed.best_trial.feasible


def test_several_goals_go_to_the_sampler(tmp_path):
    goal = Goal.of(minimize=["bytes", "latency"], maximize="accuracy")
    result = run_search(tmp_path, FakeRecipe(), goal=goal, trials=14)
    assert result.record["goal"]["objectives"] == {"bytes": "min", "latency": "min", "accuracy": "max"}
    best = min(result.typed.trials, key=lambda trial: trial.metrics["bytes"])
    assert result.typed.best == best.number
    study = optuna.load_study(
        study_name="search",
        storage=JournalStorage(JournalFileBackend(str(tmp_path / "tuner" / "optuna.journal"))),
    )
    assert study.metric_names == ["bytes", "latency", "accuracy"]
    assert [len(trial.values) for trial in study.trials] == [3] * 14
    assert all(set(trial.params) == {"width", "lr"} for trial in study.trials)
    with pytest.raises(
        InvalidArgumentError, match="annealing improves one metric, got bytes, latency, accuracy"
    ):
        check_sampler("annealing", goal)


def macs_of(hp, limited):
    """What is known of a fake trial before it runs, where a wide one has many multiply-accumulates."""
    width = hp.Int("width", 1, 64, default=16)
    hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-2)
    return Foresight(least={"macs": 1000.0 * width} if "macs" in limited else {})


class Wide(FakeRecipe):
    """Measures what `macs_of` knows."""

    def __call__(self, hp, runs):
        run = super().__call__(hp, runs)
        first, last = run.typed.stages
        last = dataclasses.replace(last, macs=1000 * hp.get("width"), history={"loss": (1.0, 0.5)})
        return SimpleNamespace(path=run.path, typed=dataclasses.replace(run.typed, stages=(first, last)))


def small(**limits):
    return Goal.of(minimize="bytes", maximize="accuracy", max=limits or {"macs": "12k"})


def test_what_is_known_to_be_infeasible_is_not_run_and_not_counted(tmp_path):
    recipe = Wide()
    record = run_search(tmp_path, recipe, goal=small(), trials=12, foresee=macs_of).typed
    run = [trial for trial in record.trials if not trial.is_rejected]
    rejected = [trial for trial in record.trials if trial.is_rejected]
    assert len(recipe.calls) == len(run) == record.completed == 12
    assert recipe.calls[0] == {"width": 16, "lr": 1e-2}, "the first is what the others are compared with"
    assert all(trial.values["width"] <= 12 for trial in run[1:])
    assert len(rejected) > 3
    for trial in rejected:
        width = trial.values["width"]
        assert width > 12
        assert trial.reason == f"macs {1000 * width:,} is above 12,000"
        assert trial.violations == {"max macs": pytest.approx(width / 12 - 1, abs=1e-6)}
        assert trial.metrics == {"macs": 1000 * width}
    assert record.best in [trial.number for trial in run]
    assert not (tmp_path / "failures").exists()


def test_a_sampler_learns_from_what_is_rejected(tmp_path):
    run_search(tmp_path, Wide(), goal=small(), trials=12, foresee=macs_of)
    study = optuna.load_study(
        study_name="search",
        storage=JournalStorage(JournalFileBackend(str(tmp_path / "tuner" / "optuna.journal"))),
    )
    rejected = [trial for trial in study.trials if trial.state == optuna.trial.TrialState.PRUNED]
    assert rejected
    for trial in rejected:
        assert trial.params["width"] > 12
        assert trial.constraints == {"0 max macs": pytest.approx(trial.params["width"] / 12 - 1, abs=1e-6)}
    late = [trial.params["width"] > 12 for trial in study.trials[-10:]]
    early = [trial.params["width"] > 12 for trial in study.trials[1:11]]
    assert sum(late) < sum(early)


@pytest.mark.parametrize("sampler", ["tpe", "annealing", "random"])
def test_a_search_with_rejected_trials_goes_on_to_the_same_result(tmp_path, sampler):
    goal = Goal.of(minimize="bytes", max={"macs": "12k"})
    whole = Wide()
    expected = run_search(tmp_path / "whole", whole, goal=goal, trials=6, sampler=sampler, foresee=macs_of)
    for moment in (1, 4):
        path = tmp_path / str(moment)
        with pytest.raises(KeyboardInterrupt):
            run_search(path, Wide(interrupt=moment), goal=goal, trials=6, sampler=sampler, foresee=macs_of)
        result = run_search(path, Wide(), goal=goal, trials=6, sampler=sampler, foresee=macs_of)
        assert [(t.status, t.values) for t in result.typed.trials] == [
            (t.status, t.values) for t in expected.typed.trials
        ]


def test_a_constraint_that_nothing_meets_ends_the_search(tmp_path):
    recipe = Wide()
    record = run_search(tmp_path, recipe, goal=small(macs=100), trials=2, foresee=macs_of).typed
    assert len(recipe.calls) == 1, "the others need not be run"
    assert (record.rejected, record.best) == (21, None), "ten for each trial that was asked for, and the last"
    assert record.status == "complete"
    assert conclusion(record) == "No trial met --max macs=100 (closest: 16 k, trial 1)."


def test_an_operator_that_cannot_be_quantized_is_known_before_training(tmp_path):
    def refuse(hp, limited):
        known = macs_of(hp, limited)
        return Foresight(refused="No rule for Erfinv.") if hp.get("width") % 2 else known

    recipe = Wide()
    record = run_search(tmp_path, recipe, goal=Goal.of(minimize="bytes"), trials=6, foresee=refuse).typed
    assert all(call["width"] % 2 == 0 for call in recipe.calls)
    assert {trial.reason for trial in record.trials if trial.is_rejected} == {"No rule for Erfinv."}


def test_many_rejected_trials_are_no_failures(tmp_path):
    def refuse(hp, limited):
        macs_of(hp, limited)
        return Foresight(refused="No.")

    record = run_search(tmp_path, Wide(), trials=3, foresee=refuse).typed
    assert (record.completed, record.rejected) == (1, 32)
    again = run_search(tmp_path, Wide(), trials=3, foresee=macs_of, retry_failed=True).typed
    assert again.rejected == 32, "they failed at nothing"


def test_hypervolume_and_knee_are_kept(tmp_path):
    record = run_search(
        tmp_path, Wide(), goal=Goal.of(minimize="bytes", maximize="accuracy"), trials=10
    ).typed
    assert record.trials[0].hypervolume == pytest.approx(0.25)
    volumes = [trial.hypervolume for trial in record.trials]
    assert volumes == sorted(volumes)
    assert volumes[-1] == record.hypervolume > 0.25
    first = record.trials[0].metrics
    assert record.reference["bytes"].point == 2 * first["bytes"]
    assert record.reference["accuracy"].point == pytest.approx(2 * first["accuracy"] - 1)
    assert record.knee is None, "accuracy falls in proportion to the bytes"
    assert len(record.front) == 10


def test_hours_end_a_search_which_goes_on_with_more(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("tfopt.search.journal.time", SimpleNamespace(monotonic=lambda: clock[0]))

    class Slow(Wide):
        def __call__(self, hp, runs):
            clock[0] += 1800
            return super().__call__(hp, runs)

    record = run_search(tmp_path, Slow(), spending=Spending(hours=1.2)).typed
    assert (record.completed, record.stopped, record.searched) == (3, "1.2 h", 5400.0)
    again = run_search(tmp_path, Slow(), spending=Spending(hours=2, trials=30)).typed
    assert (again.completed, again.stopped) == (4, "2 h")
    assert run_search(tmp_path, Slow(), spending=Spending(trials=5)).typed.stopped is None


def test_epochs_end_a_search_before_a_trial_that_is_beyond_them(tmp_path):
    record = run_search(tmp_path, Wide(), spending=Spending(epochs=5, trials=9)).typed
    assert (record.epochs, record.completed, record.stopped) == (6, 3, "5 epochs")


def test_a_trial_that_began_is_finished_beyond_the_budget(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run_search(tmp_path, Wide(interrupt=2), spending=Spending(epochs=9))
    record = run_search(tmp_path, Wide(), spending=Spending(epochs=4)).typed
    assert [trial.status for trial in record.trials] == ["complete"] * 3


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ((None, None, None), Spending(trials=20)),
        ((None, 2, None), Spending(hours=2)),
        ((5, None, 100), Spending(trials=5, epochs=100)),
    ],
)
def test_what_ends_a_search(arguments, found):
    assert Spending.of(*arguments) == found


@pytest.mark.parametrize(
    "arguments", [(0, None, None), (None, 0, None), (None, "1", None), (None, None, 0.5)]
)
def test_bad_budgets_of_a_search(arguments):
    with pytest.raises(InvalidArgumentError, match=r"search: expected (trials|hours|epochs_total) to be"):
        Spending.of(*arguments)


def test_an_interrupted_search_goes_on_to_the_same_result(tmp_path):
    whole = FakeRecipe()
    expected = run_search(tmp_path / "whole", whole)
    for moment in (0, 1, 3):
        path = tmp_path / str(moment)
        with pytest.raises(KeyboardInterrupt):
            run_search(path, FakeRecipe(interrupt=moment))
        assert json.loads((path / "search.json").read_text())["status"] == "running"
        rest = FakeRecipe()
        result = run_search(path, rest)
        assert rest.calls == whole.calls[moment:]
        assert result.record["front"] == expected.record["front"]
        assert [t["values"] for t in result.record["trials"]] == whole.calls


def test_a_finished_search_runs_nothing_and_more_trials_go_on(tmp_path):
    run_search(tmp_path, FakeRecipe(), trials=3)
    again = FakeRecipe()
    run_search(tmp_path, again, trials=3)
    assert again.calls == []
    run_search(tmp_path, again, trials=5)
    assert len(again.calls) == 2


def test_seeds_share_no_samples(tmp_path):
    recipes = [FakeRecipe() for _ in range(3)]
    for seed, recipe in enumerate(recipes):
        run_search(tmp_path / str(seed), recipe, seed=seed, trials=20)
    rates = [call["lr"] for recipe in recipes for call in recipe.calls[1:]]
    assert len(set(rates)) == len(rates)


def test_a_small_space_is_exhausted_without_an_error(tmp_path):
    class TwoWidths(FakeRecipe):
        def __call__(self, hp, runs):
            width = hp.Choice("width", [1, 2])
            path = runs / str(width)
            path.mkdir(parents=True, exist_ok=True)
            (path / "model.tflite").write_bytes(bytes(width))
            stage = {"file": "model.tflite", "validation": {"accuracy": 0.9}, "bytes": width}
            return SimpleNamespace(path=path, typed=RunRecord.from_json({"stages": [stage]}))

    result = run_search(tmp_path, TwoWidths(), trials=10)
    assert [trial["values"] for trial in result.record["trials"]] == [{"width": 1}, {"width": 2}]
    assert result.record["status"] == "complete"


def test_on_trial_hears_of_every_trial(tmp_path):
    heard = []
    run_search(
        tmp_path, FakeRecipe(fail=(1,)), trials=3, on_trial=lambda entry, _: heard.append(entry["status"])
    )
    assert heard == ["complete", "failed", "complete"]


def test_a_full_disk_ends_the_search_with_its_reason(tmp_path, monkeypatch):
    import tfopt.search.journal as journal

    def refuse(path, content):
        raise RunError(f"Cannot write {path}: No space left on device.")

    recipe = FakeRecipe()

    def fill_disk(entry, record):
        monkeypatch.setattr(journal, "write_atomically", refuse)

    with pytest.raises(RunError, match="No space left"):
        run_search(tmp_path, recipe, on_trial=fill_disk)
    assert len(recipe.calls) == 1


def test_a_kill_between_any_two_files_loses_nothing(tmp_path):
    """Ends the process at its n-th written file, for every n, and starts it again."""
    script = textwrap.dedent(
        f"""
        import os, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        import tfopt.files
        import test_recipe_search as test
        import tfopt.search.journal, tfopt.oracles.durable
        import tfopt.search.conduct
        os.fsync = lambda _: None  # a process dies here, not the machine
        real, left = tfopt.files.write_atomically, [0]
        def counted(path, content):
            if left[0] == 0: os._exit(137)
            left[0] -= 1
            real(path, content)
        for module in (tfopt.search.journal, tfopt.search.conduct, tfopt.oracles.durable):
            module.write_atomically = counted
        # Forks keep the imports, so that all these processes cost seconds.
        def run(path, count):
            child = os.fork()
            if child == 0:
                left[0] = count
                test.run_search(path, test.FakeRecipe(fail=(1,)), trials=2)
                os._exit(0)
            return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

        n, status = 0, 137
        while status == 137:
            path = Path(sys.argv[1]) / str(n)
            status = run(path, n)
            assert run(path, 10**9) == 0, n
            n += 1
        assert status == 0
        """
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, env={**os.environ})
    results = [SearchResult.load(path).record for path in sorted(tmp_path.iterdir())]
    assert len(results) > 15
    values = {json.dumps([trial["values"] for trial in record["trials"]]) for record in results}
    assert len(values) == 1
    assert {record["status"] for record in results} == {"complete"}
    assert all([trial["number"] for trial in record["trials"]] == [1, 2] for record in results)


def test_arguments_are_checked_before_anything_runs(tmp_path):
    recipe = tmp_path / "recipe.py"
    recipe.write_text("raise SystemExit('was run')")
    with pytest.raises(InvalidArgumentError, match="trials to be a whole number >= 1"):
        search(recipe, trials=0)
    with pytest.raises(InvalidArgumentError, match="seed to be a whole number >= 0"):
        search(recipe, seed=-1)
    with pytest.raises(InvalidArgumentError, match="Cannot minimize 'accuracy'"):
        search(recipe, minimize="accuracy")
    with pytest.raises(InvalidArgumentError, match="sampler to be one of 'tpe'"):
        search(recipe, sampler="best")
    with pytest.raises(InvalidArgumentError, match="retry_failed to be True or False"):
        search(recipe, retry_failed=1)
    with pytest.raises(RecipeError, match="No such recipe"):
        search(tmp_path / "none.py")


def test_the_package_is_the_function():
    assert callable(tfopt.search)
    with pytest.raises(InvalidArgumentError, match="trials"):
        tfopt.search("recipe.py", trials=0)


def test_a_used_up_budget_ends_a_search_whose_unfinished_trial_is_finished(tmp_path):
    hours = Spending(trials=6, hours=1e-9)
    with pytest.raises(RunError, match="None of 0 trials"):
        run_search(tmp_path / "none", FakeRecipe(), spending=hours)
    with pytest.raises(KeyboardInterrupt):
        run_search(tmp_path / "one", FakeRecipe(interrupt=2))
    recipe = FakeRecipe()
    result = run_search(tmp_path / "one", recipe, spending=hours)
    assert len(recipe.calls) == 1
    assert result.typed.completed == 3
    assert result.typed.stopped == "1e-09 h"
