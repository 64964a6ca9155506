import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tfopt.data import from_arrays
from tfopt.errors import InvalidArgumentError, RecipeError, StageOrderError
from tfopt.recipe.recipe import Recipe, load_recipe

DATA = from_arrays(np.random.default_rng(0).random((60, 4)), np.arange(60) % 3, name="four")
DIGITS = Path(__file__).parents[2] / "recipes" / "digits.py"

RECIPE = """
import keras
import numpy as np
import tfopt

@keras.saving.register_keras_serializable("test_recipe")
class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x

def model(data, hp):
    inputs = keras.Input(data.input_shape, name="in")
    x = Doubled(name="doubled")(inputs)
    x = keras.layers.Dense(hp.Int("width", 2, 8), name="hidden")(x)
    return keras.Model(inputs, keras.layers.Dense(data.num_classes, name="out")(x))

def optimizer(hp, steps):
    kind = hp.Choice("optimizer", ["sgd", "adam"])
    if kind == "sgd":
        return keras.optimizers.SGD(0.1, momentum=hp.Float("momentum", 0.0, 0.9))
    return keras.optimizers.Adam(hp.Float("lr", 1e-4, 1e-1, default=1e-2))

def build(hp):
    x = np.random.default_rng(0).random((60, 4))
    return tfopt.Recipe(
        data=tfopt.data.from_arrays(x, np.arange(60) % 3),
        model=lambda data: model(data, hp),
        optimizer=lambda steps: optimizer(hp, steps),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        stages=[tfopt.Train(epochs=1 + hp.Boolean("long"))],
    )
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(RECIPE)
    return path


def test_defaults_run(recipe, tmp_path):
    run = Recipe.from_file(recipe).run(out=tmp_path / "out", quiet=True)
    assert run.record["name"] == "mine"
    assert run.record["recipe"] == {
        "file": str(recipe),
        "values": {"long": False, "width": 2, "optimizer": "sgd", "momentum": 0.0},
    }
    assert set(run.metrics) == {"loss", "accuracy"}
    assert len(run.record["stages"][0]["history"]["loss"]) == 1


def test_declare_tells_of_hyperparameters_inside_functions(recipe):
    space = Recipe.from_file(recipe).declare().space
    assert [parameter.name for parameter in space] == ["long", "width", "optimizer", "momentum"]


def test_values_are_converted_also_those_that_others_bring_forth(recipe):
    values = {"lr": "0.05", "optimizer": "adam", "width": "3", "long": "true"}
    made = Recipe.from_file(recipe, values=values)
    made.declare()
    assert made.hyperparameters.values == {"lr": 0.05, "optimizer": "adam", "width": 3, "long": True}
    assert made.stages == [tfopt.Train(epochs=2)]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"widht": 3}, "no hyperparameter 'widht'; it has long, width, optimizer, momentum"),
        ({"lr": 0.05}, "no hyperparameter 'lr'"),  # only with adam
        ({"width": 9}, "'width' takes an integer from 2 to 8, got 9"),
        ({"width": "2.5"}, "'width' takes an integer"),
        ({"momentum": "nan"}, "'momentum' takes a number from 0.0 to 0.9"),
        ({"optimizer": "lion"}, "'optimizer' takes one of sgd, adam"),
        ({"long": "maybe"}, "'long' takes true or false"),
    ],
)
def test_values_that_do_not_fit(recipe, values, message):
    with pytest.raises(RecipeError, match=message):
        Recipe.from_file(recipe, values=values)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("def build(hp:\n", r"mine\.py, line 1: .*never closed"),
        ("x = 1\n", "has no build: expected a function `def build"),
        ("build = 1\n", "build must be a function of hp"),
        ("import no_such_module\ndef build(hp): pass\n", r"line 1: the recipe raised ModuleNotFoundError"),
        ("def build(hp):\n    return 1 / 0\n", r"line 2: build\(hp\) raised ZeroDivisionError: division"),
        ("def build(hp):\n    return None\n", r"must return a tfopt\.Recipe, got NoneType"),
    ],
)
def test_files_that_are_no_recipes(recipe, source, message):
    recipe.write_text(source)
    with pytest.raises(RecipeError, match=message) as caught:
        Recipe.from_file(recipe)
    assert "\n" not in str(caught.value)


def test_a_recipe_may_import_its_neighbours(recipe):
    (recipe.parent / "beside_mine.py").write_text(RECIPE)
    recipe.write_text("from beside_mine import build\n")
    assert load_recipe(recipe)
    assert str(recipe.parent) not in sys.path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": lambda a, b: None}, "a function of no arguments or of the data, got one of a, b"),
        ({"model": lambda: None}, r"model must return a keras\.Model, got NoneType"),
        ({"model": lambda: 1 / 0}, "model raised ZeroDivisionError"),
        ({"optimizer": lambda steps: 1 / 0}, "optimizer raised ZeroDivisionError"),
        ({"optimizer": lambda steps: "adam"}, r"must return a Keras optimizer, got 'adam'"),
    ],
)
def test_functions_that_fail_say_whose_they_are(change, message, tmp_path):
    with pytest.raises((RecipeError, InvalidArgumentError), match=message):
        make(**change).run(out=tmp_path, quiet=True)
    assert not list(tmp_path.iterdir())


def make(**change):
    def model():
        return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])

    arguments = {
        "data": DATA,
        "model": model,
        "optimizer": keras.optimizers.SGD(0.1),
        "stages": [tfopt.Train(epochs=1)],
    }
    return Recipe(**(arguments | change))


def test_arguments_are_checked_at_once():
    with pytest.raises(StageOrderError):
        make(stages=[tfopt.ExportTFLite(), tfopt.Train()])
    with pytest.raises(InvalidArgumentError, match=r"data must be a tfopt\.data\.Dataset, got str"):
        make(data="digits")


def test_an_optimizer_may_be_named(tmp_path):
    assert make(optimizer="adam").run(out=tmp_path / "run", quiet=True).model().built
    with pytest.raises((RecipeError, InvalidArgumentError), match="identifier: adamm"):
        make(optimizer="adamm").run(out=tmp_path / "other", quiet=True)


def test_no_loss_for_targets_that_are_no_classes(tmp_path):
    data = from_arrays(np.zeros((20, 4)), np.zeros((20, 3)), num_classes=None)
    with pytest.raises(InvalidArgumentError, match="the recipe needs a loss"):
        make(data=data).run(out=tmp_path, quiet=True)


def test_the_digits_recipe_takes_other_data(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (60, 28, 28), dtype=np.uint8)
    np.savez(tmp_path / "images.npz", x=images, y=np.arange(60) % 5)
    made = Recipe.from_file(DIGITS, data=tmp_path / "images.npz")
    model = made._make_model()
    assert model.input_shape == (None, 28, 28, 1)
    assert model.output_shape == (None, 5)
    assert {parameter.name for parameter in made.declare().space} >= {"width", "lr", "sparsity"}


def test_what_is_wrong_with_a_file_is_said_without_tensorflow(tmp_path):
    (tmp_path / "no_build.py").write_text("x = 1\n")
    (tmp_path / "syntax.py").write_text("def build(hp\n")
    code = (
        "import sys\nfrom tfopt.errors import RecipeError\nfrom tfopt.recipe import Recipe\n"
        "for path in sys.argv[1:]:\n"
        "    try: Recipe.from_file(path)\n"
        "    except RecipeError: pass\n"
        "    else: raise SystemExit('no error')\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
    )
    paths = [str(tmp_path / name) for name in ("no_build.py", "syntax.py", "missing.py")]
    subprocess.run([sys.executable, "-c", code, *paths], check=True)


MOVES = """
import os, pathlib
import keras, tfopt
os.chdir(pathlib.Path(__file__).parent)

def build(hp):
    return tfopt.Recipe(
        data=tfopt.data.load("mine.npz"),
        model=lambda data: keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")]),
        optimizer="adam",
        stages=[tfopt.Train(epochs=1)],
    )
"""


@pytest.mark.parametrize("out", [None, "runs"])
def test_a_recipe_that_changes_the_folder_does_not_move_its_runs(tmp_path, monkeypatch, out):
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "mover.py").write_text(MOVES)
    x = np.random.default_rng(0).normal(size=(40, 4))
    for folder in (tmp_path / "recipes", tmp_path):
        np.savez(folder / "mine.npz", x=x, y=np.arange(40) % 2)
    monkeypatch.chdir(tmp_path)
    run = tfopt.Recipe.from_file("recipes/mover.py", data="mine.npz").run(out, quiet=True)
    assert run.path.parent == tmp_path / (out or "saved_models/mover")
    assert run.complete
    assert not list((tmp_path / "recipes").glob("*/"))
