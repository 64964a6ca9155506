"""A recipe by each engine."""

import keras
import pytest
from click.testing import CliRunner

import tfopt
from tfopt.cli.main import State, cli
from tfopt.errors import InvalidArgumentError
from tfopt.recipe.compare_engines import compare_engines

RECIPE = """
import keras, tfopt

def model(data):
    inputs = keras.Input(data.input_shape)
    x = keras.layers.Flatten()(inputs)
    if {odd}:
        x = keras.layers.Dense(8, activation="elu", name="odd")(x)
    x = keras.layers.Dense(16, activation="relu", name="hidden")(x)
    return keras.Model(inputs, keras.layers.Dense(10, name="head")(x))

def build(hp):
    return tfopt.Recipe(
        data=tfopt.data.load("digits"), model=model, optimizer=keras.optimizers.Adam(0.003),
        stages=[tfopt.Prune(0.5, epochs=1), tfopt.QuantizeAware(epochs=1), tfopt.ExportTFLite()],
    )
"""


def _invoke(path, out):
    arguments = ["compare-engines", str(path), "--out", str(out)]
    return CliRunner().invoke(cli, arguments, obj=State(), catch_exceptions=False)


@pytest.mark.slow
def test_both_engines_are_run_and_shown(tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE.format(odd=False))
    result = _invoke(path, tmp_path / "runs")
    assert result.exit_code == 0
    for word in ("keras", "tfmot", "pruned", "quantization-aware", "int8 TFLite"):
        assert word in result.output
    assert (tmp_path / "runs" / "tfmot").is_dir()


@pytest.mark.slow
def test_a_refusal_is_a_result(tmp_path):
    path = tmp_path / "recipe.py"
    path.write_text(RECIPE.format(odd=True))
    result = _invoke(path, tmp_path / "runs")
    assert result.exit_code == 0
    assert "refused" in result.output
    assert "cannot quantize 'odd' (Dense)" in result.output


def test_a_recipe_without_engines_is_refused(digits, tmp_path):
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(10)])
    recipe = tfopt.Recipe(data=digits, model=model, optimizer="sgd", stages=[tfopt.Train(epochs=1)])
    with pytest.raises(InvalidArgumentError, match="No stage of the recipe has an engine"):
        compare_engines(recipe, tmp_path)
