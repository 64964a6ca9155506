"""`tfopt.tie`: the model, its files, later steps, and what is refused."""

import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedModel

X = np.random.default_rng(0).normal(size=(32, 12)).astype("float32")
Y = np.arange(32) % 3


def block(name):
    inputs = keras.Input((12,))
    x = L.Dense(20, name="up")(inputs)
    x = L.BatchNormalization(name="norm")(x)
    x = L.Dense(12, name="down")(L.ReLU(name="relu")(x))
    return keras.Model(inputs, L.Add(name="add")([inputs, x]), name=name)


@pytest.fixture
def model():
    """Three blocks alike, each a nested model; the first two are called b1, b2."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12,), name="in")
    x = inputs
    for name in ("b1", "b2", "other"):
        x = block(name)(x)
    return keras.Model(inputs, L.Dense(3, "softmax", name="head")(x), name="net")


def trained(model):
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    model.fit(X, Y, epochs=2, verbose=0)
    return model


def test_parts_that_a_pattern_names_become_one_layer_each(model):
    tied = tfopt.tie(model, {"b?": "block"})
    paths = [node.path for node in tfopt.graph.nodes(tied)]
    assert [paths.count(path) for path in ("b1.up", "b1.down", "other.up")] == [2, 2, 1]
    assert not {"b2.up", "b2.down"} & set(paths)
    assert {"b1.norm", "b2.norm"} <= set(paths)  # of its own statistics
    assert tied.count_params() == model.count_params() - (12 * 20 + 20) - (20 * 12 + 12)
    assert tfopt.measure.macs(tied) == tfopt.measure.macs(model)


def test_a_rule_that_names_a_normalization_ties_it_and_none_leaves_a_layer_out(model):
    tied = tfopt.tie(model, {"b?/down": None, "b?/norm": "norm", "b?": "block"})
    names = {layer.name for layer in tied.layers}
    assert {"b1.up", "b1.norm", "b1.down", "b2.down"} <= names
    assert not {"b2.up", "b2.norm"} & names


def test_equal_weights_compute_what_they_did(model):
    for own, other in zip(model.get_layer("b1").weights, model.get_layer("b2").weights, strict=True):
        other.assign(own)
    before = model.predict(X, verbose=0)
    np.testing.assert_allclose(tfopt.tie(model, {"b?": "block"}).predict(X, verbose=0), before, rtol=1e-5)


@pytest.mark.parametrize("init", ["first", "mean"])
def test_the_one_layer_begins_as_the_first_or_as_the_mean(model, init):
    first, second = (model.get_layer(name).get_layer("up").kernel.numpy() for name in ("b1", "b2"))
    tied = tfopt.tie(model, {"b?": "block"}, init=init)
    expected = first if init == "first" else (first + second) / 2
    np.testing.assert_allclose(tied.get_layer("b1.up").kernel.numpy(), expected, rtol=1e-6)
    np.testing.assert_array_equal(model.get_layer("b1").get_layer("up").kernel.numpy(), first)


def test_it_trains_and_its_file_loads_without_tfopt(model, tmp_path):
    tied = trained(tfopt.tie(model, {"b?": "block"}))
    tied.save(tmp_path / "tied.keras")
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, keras, numpy as np; m = keras.models.load_model(sys.argv[1] + '/tied.keras');"
        "np.save(sys.argv[1] + '/y.npy', m.predict(np.load(sys.argv[1] + '/x.npy'), verbose=0));"
        "assert 'tfopt' not in sys.modules; print(m.count_params())"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(out.stdout.split()[-1]) == tied.count_params()
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), tied.predict(X, verbose=0), rtol=1e-5)


STEPS = {
    "prune": lambda model: tfopt.prune(model, 0.5),
    "cluster": lambda model: tfopt.cluster(model, 4),
    "prune_channels": lambda model: tfopt.prune_channels(model, 0.3, round_to=1),
    "low_rank": lambda model: tfopt.low_rank(model, rank=2),
    "quantize_aware": lambda model: tfopt.quantize_aware(model),
}


@pytest.mark.parametrize("step", STEPS)
def test_later_steps_keep_the_one_layer(model, step):
    stage = tfopt.Tie({"b?": "block"})
    tied = tfopt.tie(model, stage.rules)
    after = STEPS[step](tied)
    stage.check(tied, trained(after))
    paths = [node.path for node in tfopt.graph.nodes(after)]
    assert paths.count("b1.up") == paths.count("b1.down") == 2


SIZES = {"b1.up": 240, "b1.down": 240, "other.up": 240, "other.down": 240, "head": 36}


@pytest.mark.parametrize(
    ("scheme", "bytes"), [("float32", 4), pytest.param("float16", 2, marks=pytest.mark.slow), ("int8", 1)]
)
def test_the_tflite_file_holds_shared_kernels_once(model, scheme, bytes):
    tied = trained(tfopt.tie(model, {"b?": "block"}))
    file = tfopt.to_tflite(tied, scheme, X)
    weights = [weight for weight in file.summary().weights if weight.size in SIZES.values()]
    assert sum(weight.bytes for weight in weights) == bytes * sum(SIZES.values())
    whole = tfopt.to_tflite(trained(model), scheme, X).summary().weights
    assert sum(each.bytes for each in whole if each.size in SIZES.values()) == bytes * (6 * 240 + 36)
    tolerance = 0.05 if scheme == "int8" else 1e-3
    assert np.abs(file.predict(X) - tied.predict(X, verbose=0)).max() < tolerance


def sequential(*layers):
    return keras.Sequential([keras.Input((12,)), *layers])


def dense(name="a", units=12, **arguments):
    return L.Dense(units, name=name, **arguments)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([dense("a1"), dense("a2", 6)], "'a1' and 'a2' cannot be one.*shapes.*12, 12.*12, 6"),
        ([dense("a1"), dense("a2", activation="relu")], "activation is 'linear' of the one and 'relu'"),
        ([dense("a1"), L.LayerNormalization(name="a2")], "one is a Dense, the other a LayerNormalization"),
        ([dense("a1"), dense("a2", dtype="mixed_float16")], "compute in float32 and mixed_float16"),
        ([dense("a1"), dense("a2", trainable=False)], "trainable is True"),
        ([dense("a1"), dense("b")], "the group 'g' has one layer, 'a1'.*Layers with weights: a1, b"),
        ([dense("b1"), dense("b2")], "The rule 'a.' matches no layer"),
    ],
)
def test_layers_that_cannot_be_one_are_refused(layers, message):
    with pytest.raises(InvalidArgumentError, match=message):
        tfopt.tie(sequential(*layers), {"a?": "g"})


def test_the_advice_of_the_message_helps():
    layers = [dense("a1"), dense("a2"), dense("a3", 6)]
    with pytest.raises(InvalidArgumentError, match="leave one out by None before the other rules"):
        tfopt.tie(sequential(*layers), {"a?": "g"})
    tied = tfopt.tie(sequential(*layers), {"a3": None, "a?": "g"})
    assert [node.path for node in tfopt.graph.nodes(tied)] == ["a1", "a1", "a3"]


@pytest.mark.parametrize("rules", [None, {}, {"a": 1}, {"a": ""}, {"a": None}, ["a"]])
def test_rules_are_a_dict_of_names(rules):
    with pytest.raises(InvalidArgumentError, match="pattern of layer paths -> the name of a group"):
        tfopt.tie(sequential(dense()), rules)


def test_other_models_are_refused(model):
    class Own(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(UnsupportedModel, match="is subclassed"):
        tfopt.tie(Own(), {"a": "g"})
    with pytest.raises(InvalidArgumentError, match="Tie the layers of the float model"):
        tfopt.tie(tfopt.quantize_aware(model), {"b?": "block"})
    with pytest.raises(InvalidArgumentError, match="'first', 'mean'"):
        tfopt.tie(model, {"b?": "block"}, init="last")
