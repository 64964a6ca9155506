"""A real search that stops trials early, beside one that does not."""

import textwrap

import pytest

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.pipeline import Run

RECIPE = textwrap.dedent(
    """
    import keras
    import tfopt

    def model(data, width):
        return keras.Sequential(
            [
                keras.Input(data.input_shape),
                keras.layers.Conv2D(width, 3, strides=2, activation="relu", name="conv"),
                keras.layers.Flatten(name="flatten"),
                keras.layers.Dropout(0.2, name="dropout"),
                keras.layers.Dense(data.num_classes, activation="softmax", name="head"),
            ]
        )

    def build(hp):
        rate = hp.Float("lr", 1e-4, 1e-1, sampling="log", default=1e-2)
        return tfopt.Recipe(
            data=tfopt.data.load("digits"),
            model=lambda data: model(data, hp.Int("width", 2, 12, default=6)),
            optimizer=lambda steps: keras.optimizers.Adam(
                tfopt.schedules.WarmupCosine(rate, warmup_steps=9, total_steps=steps)
            ),
            stages=[tfopt.Train(epochs=9), tfopt.QuantizeAware("int8", epochs=1), tfopt.ExportTFLite()],
        )
    """
)


@pytest.mark.slow
def test_trials_that_go_on_end_as_without_it(tmp_path):
    recipe = tmp_path / "tiny.py"
    recipe.write_text(RECIPE)

    def search(name, **options):
        return tfopt.search(
            recipe, trials=8, maximize="accuracy", sampler="random", out=tmp_path / name, **options
        )

    whole, stopping = search("whole"), search("stopping", early_stopping="halving")
    assert [trial.values for trial in stopping.typed.trials] == [trial.values for trial in whole.typed.trials]
    pairs = list(zip(whole.typed.trials, stopping.typed.trials, strict=True))
    complete = [(full, part) for full, part in pairs if part.is_complete]
    assert 0 < len(complete) < 8
    assert stopping.typed.epochs < 0.7 * whole.typed.epochs == 0.7 * 8 * 10
    for full, part in complete:
        for name in ("accuracy", "bytes", "compressed_bytes"):
            assert part.metrics[name] == full.metrics[name]
        one, other = (Run.load(search.path / each.run) for search, each in ((whole, full), (stopping, part)))
        assert bytes(one.tflite) == bytes(other.tflite)
    for full, part in pairs:
        if not part.is_complete:
            run = Run.load(stopping.path / part.run)
            history = Run.load(whole.path / full.run).typed.stages[0].history
            assert run.typed.status == "stopped"
            assert run.typed.stages[0].history["val_loss"] == history["val_loss"][: part.epochs]
    # Without early stopping in the same folder, what was stopped goes on from there.
    rest = search("stopping")
    assert [trial.metrics["accuracy"] for trial in rest.typed.trials] == [
        trial.metrics["accuracy"] for trial in whole.typed.trials
    ]


def test_a_recipe_without_a_training_at_its_beginning_is_refused(tmp_path):
    recipe = tmp_path / "tiny.py"
    recipe.write_text(RECIPE.replace("tfopt.Train(epochs=9), ", ""))
    with pytest.raises(InvalidArgumentError, match=r"begin with tfopt\.Train, got QuantizeAware"):
        tfopt.search(recipe, early_stopping="halving", out=tmp_path / "runs")
    with pytest.raises(InvalidArgumentError, match="early_stopping to be one of 'halving', 'hyperband'"):
        tfopt.search(recipe, early_stopping="soon")
    assert not (tmp_path / "runs").exists()
