"""What is known before training, against what comes out; without training where that can be."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.export.untrained import untrained
from tfopt.search.foresight import Foresight, foreseen, rejected
from tfopt.search.goals.bounds import Bound
from tfopt.stages import Stage

SIZES = ("macs", "params", "bytes")


def model(width=8):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(width, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Conv2D(16, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )


def recipe(*stages, build=model, **more):
    x = np.random.default_rng(0).normal(size=(40, 8, 8, 1)).astype("float32")
    y = np.arange(40) % 10
    return tfopt.Recipe(
        data=tfopt.data.from_arrays(x, y), model=build, optimizer="adam", stages=stages, **more
    )


def trained(build, scheme):
    """Return a file in the scheme whose weights are those of a trained model: nothing in it is alike."""
    made = build()
    generator = np.random.default_rng(1)
    made.set_weights([generator.uniform(0.1, 1.0, each.shape) for each in made.get_weights()])
    return untrained(made, scheme, None)


@pytest.mark.parametrize("scheme", ["int8", "float32"])
def test_sizes_are_known_where_no_stage_changes_them(scheme):
    stages = [tfopt.Train(epochs=2), tfopt.Prune(sparsity=0.5, epochs=1), tfopt.ExportTFLite(scheme)]
    known = foreseen(recipe(*stages), SIZES).least
    assert known["params"] == model().count_params()
    assert known["macs"] == tfopt.measure.macs(model())
    size = len(trained(model, scheme))
    assert 0.85 * size < known["bytes"] <= size, "zeros of biases are stored once, so that it is less"


def test_removed_channels_leave_a_least():
    pruned = tfopt.prune_channels(model(32), macs=0.3, min_share=0.25, round_to=1)
    stage = tfopt.PruneChannels(macs=0.3, min_share=0.25, round_to=1, epochs=1)
    built = recipe(tfopt.Train(epochs=1), stage, tfopt.ExportTFLite("int8"), build=lambda: model(32))
    known = foreseen(built, SIZES).least
    assert 0 < known["macs"] <= tfopt.measure.macs(pruned) <= 0.3 * tfopt.measure.macs(model(32))
    assert 0 < known["params"] <= pruned.count_params()
    assert "bytes" not in known, "which channels go is not known"


def test_what_nobody_can_say_is_not_known():
    class Own(Stage):
        title = "own"

        def apply(self, model, context):
            return model

    own = recipe(tfopt.Train(epochs=1), Own(), tfopt.ExportTFLite("int8"))
    low_rank = recipe(tfopt.Train(epochs=1), tfopt.LowRank(0.5, epochs=1), tfopt.ExportTFLite("int8"))
    for made in (own, low_rank):
        assert foreseen(made, SIZES).least == {}
    rules = recipe(tfopt.QuantizeAware("int8", rules={"dense*": "int4_weights"}), tfopt.ExportTFLite())
    sparse = recipe(tfopt.Train(epochs=1), tfopt.ExportTFLite("float32", sparse=True))
    for made in (rules, sparse):
        assert foreseen(made, SIZES).least.keys() == {"macs", "params"}


def test_epochs_are_known_unless_a_callback_may_end_them():
    stages = [
        tfopt.PruneChannels(0.5, epochs=2, sparse_epochs=3),
        tfopt.QuantizeAware("int8", epochs=4),
        tfopt.ExportTFLite(),
    ]
    assert foreseen(recipe(*stages), ["epochs"]).least == {"epochs": 9}
    stopping = recipe(*stages, callbacks=[keras.callbacks.EarlyStopping(monitor="loss")])
    assert foreseen(stopping, ["epochs"]).least == {}


def test_an_operator_without_a_rule_is_known():
    def build():
        inputs = keras.Input((8, 8, 1))
        x = keras.layers.Flatten()(inputs)
        return keras.Model(inputs, keras.layers.Dense(10)(keras.ops.erfinv(keras.ops.tanh(x))))

    known = foreseen(recipe(tfopt.QuantizeAware("int8", epochs=1), tfopt.ExportTFLite(), build=build), [])
    assert "erfinv" in known.refused.lower()
    assert rejected(known, []).reason == known.refused
    plain = foreseen(recipe(tfopt.Train(epochs=1), tfopt.ExportTFLite("float32"), build=build), [])
    assert plain.refused is None, "nothing of it is quantized"


def test_only_what_is_beyond_a_limit_is_rejected():
    def bound(metric, limit):
        return Bound(option="max", metric=metric, limit=limit, upper=True, scale=limit)

    known = Foresight(least={"macs": 150.0, "params": 10.0})
    assert rejected(known, [bound("macs", 150), bound("bytes", 1)]) is None
    found = rejected(known, [bound("macs", 100), bound("params", 20), bound("bytes", 1)])
    assert found.reason == "macs 150 is above 100"
    assert found.violations == {"max macs": pytest.approx(0.5, abs=1e-6), "max params": 0.0}


def test_a_recipe_says_what_it_measures():
    assert {*recipe(tfopt.Train(epochs=1)).metric_names()} == {"loss", "accuracy"}

    def two():
        inputs = keras.Input((8, 8, 1))
        x = keras.layers.Flatten()(inputs)
        return keras.Model(inputs, [keras.layers.Dense(1, name=name)(x) for name in ("left", "right")])

    x = np.zeros((40, 8, 8, 1), "float32")
    targets = {"left": np.zeros((40, 1)), "right": np.ones((40, 1))}
    several = tfopt.Recipe(
        data=tfopt.data.from_arrays(x, targets, num_classes=None),
        model=two,
        optimizer="adam",
        loss="mse",
        metrics=[["mae"], ["mae"]],
        stages=[tfopt.Train(epochs=1)],
    )
    assert {"loss", "left_mae", "right_mae"} <= {*several.metric_names()}
