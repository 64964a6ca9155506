"""Searches that begin with what earlier ones found out, with runs that are made up."""

import json
from types import SimpleNamespace

import keras_tuner
import pytest

from tfopt.errors import InvalidArgumentError, RunError
from tfopt.report.trials import trials_table
from tfopt.run.run_record import RunRecord
from tfopt.run.search_folder import FILE
from tfopt.run.search_record import BaselineRecord, SearchRecord, TrialRecord
from tfopt.search.conduct import conduct
from tfopt.search.executors.slot import InProcess
from tfopt.search.goals.goal import Goal
from tfopt.search.journal import Journal
from tfopt.search.recipe_search import search
from tfopt.search.samplers import make_oracle
from tfopt.search.spending import Spending
from tfopt.search.warm_start import check_warm_start, earlier_trials

ACCURACY = Goal.of(maximize="accuracy")


def space():
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 8, 64, step=8, default=16)
    hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-2)
    hp.Choice("kind", ["plain", "residual"])
    with hp.conditional_scope("kind", ["residual"]):
        hp.Int("depth", 1, 4)
    hp.Fixed("seed", 3)
    return hp.space


def write(folder, *trials, accuracy=0.9, baseline=True):
    """Write the record of a search: trials of values and metrics."""
    folder.mkdir(parents=True, exist_ok=True)
    made = tuple(
        TrialRecord(number=number, values=values, metrics={"accuracy": accuracy, "bytes": 100.0} | metrics)
        for number, (values, metrics) in enumerate(trials, 1)
    )
    made += (TrialRecord(number=len(made) + 1, status="failed", values={"width": 16}),)
    float_model = BaselineRecord(trial=1, file="x", metrics={"accuracy": 0.95}) if baseline else None
    record = SearchRecord(id=folder.name, trials=made, baseline=float_model, status="complete")
    (folder / FILE).write_text(json.dumps(record.to_json()))
    return folder


def test_finished_trials_that_fit_are_found(tmp_path):
    folder = write(
        tmp_path / "one",
        ({"width": 64, "lr": 1e-3, "kind": "residual", "depth": 2, "seed": 3}, {}),
        ({"width": 12, "lr": 1e-3}, {}),  # between the steps
        ({"width": 72, "lr": 1e-3}, {}),
        ({"width": 24, "lr": 0.5}, {}),
        ({"width": 24, "kind": "dense"}, {}),
        ({"width": 24, "seed": 4}, {}),
        ({"width": 24, "kind": "residual", "depth": 5}, {}),
        ({"width": 24, "momentum": 0.9}, {}),  # which this recipe does not ask for; others it does
        ({"momentum": 0.9}, {}),
        ({"width": 24}, {"accuracy": None}),
    )
    (found,) = earlier_trials([folder], ACCURACY, space()).values()
    assert [trial.key for trial in found] == ["one/1", "one/8"]
    assert found[0].values == {"width": 64, "lr": 1e-3, "kind": "residual", "depth": 2, "seed": 3}
    assert found[1].values == {"width": 24, "lr": 1e-2, "kind": "plain", "seed": 3}
    assert found[0].metrics == {"accuracy": 0.9}


def test_what_is_to_be_kept_is_that_of_the_earlier_model(tmp_path):
    folder = write(tmp_path / "one", ({"width": 64}, {}), ({"width": 64}, {"accuracy": 0.95}))
    goal = Goal.of(minimize="bytes", keep={"accuracy": -0.01})
    (found,) = earlier_trials([folder], goal, space()).values()
    assert [trial.metrics["keep accuracy"] for trial in found] == [pytest.approx(0.04 / 0.95, abs=1e-6), 0.0]
    folder = write(tmp_path / "two", ({"width": 64}, {}), baseline=False)
    with pytest.raises(InvalidArgumentError, match="trial 1: nothing says what it was to keep"):
        earlier_trials([folder], goal, space())


def test_what_cannot_be_learned_from_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"sampler random does not learn .* use one of tpe, gp"):
        check_warm_start("random", ACCURACY)
    with pytest.raises(InvalidArgumentError, match="cannot compare latencies"):
        check_warm_start("tpe", Goal.of(minimize="latency"))
    with pytest.raises(InvalidArgumentError, match=r'share of each .* give a number, such as bytes="100k"'):
        check_warm_start("tpe", Goal.of(max={"bytes": 0.5}))
    check_warm_start("tpe", Goal.of(max={"bytes": "100k"}))
    folder = write(tmp_path / "one", ({"width": 72}, {}), ({"lr": 1.0}, {}))
    with pytest.raises(
        InvalidArgumentError,
        match=r"None of 2 finished trials in .*one fits this search; trial 1: width was 72, which this",
    ):
        earlier_trials([folder], ACCURACY, space())
    with pytest.raises(RunError, match=r"Name the folder of a search"):
        earlier_trials([tmp_path], ACCURACY, space())
    recipe = tmp_path / "recipe.py"
    recipe.write_text("raise SystemExit('was run')")
    with pytest.raises(InvalidArgumentError, match="sampler nsga2 does not learn"):
        search(recipe, sampler="nsga2", warm_start=folder)


class FakeRecipe:
    """Its accuracy is best at a width of 48 and a rate of 1e-3."""

    def __init__(self):
        self.calls = []

    def __call__(self, hp, runs):
        width = hp.Int("width", 8, 64, step=8, default=16)
        rate = hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-2)
        self.calls.append((width, rate))
        path = runs / f"{width}-{rate:.8f}"
        path.mkdir(parents=True, exist_ok=True)
        (path / "model.tflite").write_bytes(bytes(width))
        return SimpleNamespace(path=path, typed=RunRecord.from_json({"stages": [exported(width, rate)]}))


def exported(width, rate):
    accuracy = 1 - abs(width - 48) / 64 - abs(rate - 1e-3)
    return {"file": "model.tflite", "validation": {"accuracy": accuracy}, "bytes": 100 * width}


def run_search(path, recipe, *, earlier=(), trials=9, about=()):
    about = {"name": "fake", "seed": 0, "requested_trials": trials} | dict(about)
    oracle_space = [hp for hp in space() if hp.name in ("width", "lr")]
    return conduct(
        Journal(path, ACCURACY, about),
        spending=Spending(trials=trials),
        seed=0,
        slots=[InProcess(recipe, lambda first, second: 1.0)],
        runs=path / "trials",
        earlier=earlier,
        space=oracle_space,
    )


def test_a_sampler_that_knows_earlier_trials_begins_where_these_were_good(tmp_path):
    values = [(width, rate) for width in range(8, 65, 8) for rate in (1e-4, 1e-3, 1e-2, 5e-2)]
    trials = [
        ({"width": width, "lr": rate}, {"accuracy": exported(width, rate)["validation"]["accuracy"]})
        for width, rate in values
    ]
    folder = write(tmp_path / "before", *trials)
    (earlier,) = earlier_trials([folder], ACCURACY, space()).values()
    cold, warm = FakeRecipe(), FakeRecipe()
    run_search(tmp_path / "cold", cold)
    record = run_search(tmp_path / "warm", warm, earlier=earlier, about={"earlier": {"before": len(earlier)}})
    assert len(warm.calls) == record.completed == 9
    assert warm.calls[0] == cold.calls[0] == (16, 1e-2)

    def distance(calls):
        return sum(abs(width - 48) for width, _ in calls[1:])

    assert distance(warm.calls) < 0.5 * distance(cold.calls)
    assert "knew 32 trials of earlier searches" in " ".join(shown(record).split())

    oracle = make_oracle("tpe", ACCURACY, trials=9, seed=0)
    oracle.verbose = 0
    oracle._set_project_dir(str(tmp_path / "warm"), "tuner")
    study = oracle.study
    assert [trial.user_attrs.get("earlier") for trial in study.trials[:2]] == ["before/1", "before/2"]
    assert len(study.trials) == 32 + 9
    more = FakeRecipe()
    run_search(tmp_path / "warm", more, earlier=earlier, trials=11)
    assert len(more.calls) == 2


def shown(record):
    from rich.console import Console

    console = Console(width=200)
    with console.capture() as capture:
        console.print(trials_table(record))
    return capture.get()
