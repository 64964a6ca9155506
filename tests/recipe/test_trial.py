"""A recipe with the values of a trial."""

import json

import pytest

import tfopt
from tfopt.errors import RecipeError, RunError

RECIPE = """
import keras
import tfopt

def build(hp):
    kind = hp.Choice("kind", ["plain", "deep"], default="plain")
    depth = hp.Int("depth", 1, 4, default=2) if kind == "deep" else 1
    hp.Float("rate", 1e-4, 1e-1, default=1e-3)
    return tfopt.Recipe(
        data=tfopt.data.load("digits"),
        model=lambda: keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)]),
        optimizer="adam",
        stages=[tfopt.Train(epochs=hp.Int("epochs", 1, 50, default=3)), tfopt.ExportTFLite()],
    )
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.py").write_text(RECIPE)
    search = tmp_path / "saved_models" / "small" / "search-12ab34cd"
    search.mkdir(parents=True)
    trials = [
        {"number": 1, "status": "complete", "values": {"kind": "plain", "rate": 1e-3, "epochs": 3}},
        {"number": 2, "status": "failed", "values": {"kind": "deep", "depth": 4, "rate": 0.05, "epochs": 9}},
    ]
    record = {"schema": 2, "seed": 7, "recipe": {"file": "small.py"}, "trials": trials, "best": 1}
    (search / "search.json").write_text(json.dumps(record))
    return tmp_path


WHERE = "saved_models/small/search-12ab34cd"


@pytest.mark.parametrize(
    ("trial", "recipe", "epochs"),
    [(f"{WHERE}/2", None, 9), (f"{WHERE}/2", "small.py", 9), (WHERE, None, 3), (2, "small.py", 9)],
)
def test_values_and_seed_are_those_of_the_trial(folder, trial, recipe, epochs):
    found = tfopt.Recipe.from_trial(trial, recipe)
    assert found.seed == 7
    assert found.stages[0].epochs == found.hyperparameters.get("epochs") == epochs
    assert tfopt.Recipe.locate(trial, recipe).runs.resolve() == folder / "saved_models" / "small" / "trials"


def test_values_can_be_changed(folder):
    found = tfopt.Recipe.from_trial(f"{WHERE}/2", values={"epochs": 20})
    assert found.hyperparameters.values == {"kind": "deep", "depth": 4, "rate": 0.05, "epochs": 20}
    # What depends on a value that is changed is left out.
    assert tfopt.Recipe.from_trial(f"{WHERE}/2", values={"kind": "plain"}).hyperparameters.get("rate") == 0.05


@pytest.mark.parametrize(
    ("trial", "recipe", "message"),
    [
        (f"{WHERE}/9", None, "has no trial 9; it has trials 1 to 2"),
        ("saved_models/none/3", None, "Cannot read .*Name the folder of a search"),
        (3, None, "Trial 3 of which search"),
    ],
)
def test_no_such_trial(folder, trial, recipe, message):
    with pytest.raises(RunError, match=message):
        tfopt.Recipe.from_trial(trial, recipe)


def test_a_recipe_without_a_search(folder):
    (folder / "other.py").write_text(RECIPE)
    with pytest.raises(RunError, match="There is no search in saved_models/other whose trial 1"):
        tfopt.Recipe.from_trial(1, "other.py")


def test_values_that_the_recipe_does_not_have(folder):
    with pytest.raises(RecipeError, match="has no hyperparameter 'width'"):
        tfopt.Recipe.from_trial(f"{WHERE}/1", values={"width": 3})
    (folder / "small.py").write_text(RECIPE.replace('"rate"', '"speed"'))
    with pytest.raises(RecipeError, match="has no hyperparameter 'rate'"):
        tfopt.Recipe.from_trial(f"{WHERE}/1")
