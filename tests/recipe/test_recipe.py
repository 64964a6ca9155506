import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tfopt.data import from_arrays
from tfopt.errors import DataError, InvalidArgumentError, RecipeError, StageOrderError
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


def test_a_recipe_sees_no_other_value_than_the_one_that_is_given(recipe):
    seen = 'hp.Int("width", 2, 8)'
    recipe.write_text(RECIPE.replace(seen, f"sys.modules[__name__].seen({seen})") + SEEN)
    Recipe.from_file(recipe, values={"width": "7"}).declare()
    assert set(sys.modules["tfopt_recipe_mine"].SEEN) == {7}


SEEN = """
import sys
SEEN = []

def seen(value):
    SEEN.append(value)
    return value
"""


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


FUNCTIONS = """
import keras
import numpy as np
import tfopt

READ = []

def table(source="own"):
    READ.append(source)
    rng = np.random.default_rng(0)
    x, y = rng.random((60, 4)), rng.random((60, 2))
    return tfopt.data.from_arrays(x, {"a": y[:, :1], "b": y}, name=str(source))

def model(data, hp):
    inputs = keras.Input(data.input_shape)
    hidden = keras.layers.Dense(hp.Int("width", 2, 8))(inputs)
    heads = {name: keras.layers.Dense(y.shape[1], name=name) for name, y in data.y_train.items()}
    return keras.Model(inputs, {name: head(hidden) for name, head in heads.items()})

def build(hp):
    return tfopt.Recipe(
        data=table,
        model=lambda data: model(data, hp),
        optimizer="sgd",
        loss=lambda data: dict.fromkeys(data.y_train, "mean_squared_error"),
        loss_weights={"a": 1.0, "b": 0.0},
        metrics=lambda data: {name: ["mean_absolute_error"] for name in data.y_train},
        stages=[tfopt.Train(epochs=1)],
    )
"""


@pytest.fixture
def of_functions(tmp_path):
    path = tmp_path / "functions.py"
    path.write_text(FUNCTIONS)
    return path


def test_a_function_reads_the_data_or_what_is_given_in_its_place(of_functions, tmp_path):
    read = lambda: sys.modules["tfopt_recipe_functions"].READ  # noqa: E731
    assert Recipe.from_file(of_functions, values={"width": 4}).data.name == "own"
    assert read() == ["own"]
    recipe = Recipe.from_file(of_functions, values={"width": 4}, data="mine.csv")
    assert recipe.data.name == "mine.csv"
    assert read() == ["mine.csv"]  # not "own" as well: data that is not used is not read
    assert Recipe.from_file(of_functions, data=DATA).data is DATA
    assert read() == []


def test_a_file_that_is_there_is_found_though_the_recipe_changes_the_folder(
    of_functions, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").touch()
    assert Recipe.from_file(of_functions, data="mine.csv").data.name == str(tmp_path / "mine.csv")


@pytest.mark.parametrize("how", ["made of another", "made where the file is read"])
def test_recipes_made_otherwise_have_the_data_that_is_given(of_functions, how):
    source = of_functions.read_text()
    if how == "made of another":
        source = source.replace("def build(", "def first(")
        source += (
            "import dataclasses\ndef build(hp):\n    return dataclasses.replace(first(hp), batch_size=3)\n"
        )
    else:
        source = source.replace("def build(hp):", "def first(hp):") + (
            "import keras_tuner\nMADE = first(keras_tuner.HyperParameters())\n"
            "def build(hp):\n    return MADE\n"
        )
    of_functions.write_text(source)
    assert Recipe.from_file(of_functions, data=DATA).data is DATA
    if how == "made of another":
        assert Recipe.from_file(of_functions, data="mine.csv").data.name == "mine.csv"
    else:  # its function has been called
        with pytest.raises(DataError, match=r"Unknown dataset 'mine\.csv'"):
            Recipe.from_file(of_functions, data="mine.csv")


def test_a_recipe_made_without_a_file_reads_its_data_too():
    assert make(data=lambda source="own": DATA).data is DATA
    with pytest.raises(InvalidArgumentError, match=r"data must be a tfopt\.data\.Dataset, .*got int"):
        make(data=lambda: 1)


def test_loss_and_metrics_of_the_data_and_weights_of_losses(of_functions, tmp_path):
    run = Recipe.from_file(of_functions).run(tmp_path / "out", quiet=True)
    metrics = run.metrics
    assert {"a_mean_absolute_error", "b_mean_absolute_error"} <= set(metrics)
    assert metrics["loss"] == pytest.approx(metrics["a_loss"], rel=1e-4)  # b counts nothing
    assert metrics["b_loss"] > 0.01


def test_arguments_are_checked_at_once():
    with pytest.raises(StageOrderError):
        make(stages=[tfopt.ExportTFLite(), tfopt.Train()])
    with pytest.raises(InvalidArgumentError, match=r"data must be a tfopt\.data\.Dataset, .*got str"):
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
