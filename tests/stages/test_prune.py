import dataclasses
import json

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, InvariantError
from tfopt.pruning.masks import masked
from tfopt.stages.prune import Prune


@dataclasses.dataclass
class _Context:
    """Trains as a pipeline does, on a few random images."""

    record: dict = dataclasses.field(default_factory=dict)
    history: dict = dataclasses.field(default_factory=dict)
    epochs: list = dataclasses.field(default_factory=list)

    @property
    def data(self):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(96, 8, 8, 1)).astype("float32"), np.arange(96) % 10
        return tfopt.data.from_arrays(x, y)

    def compile_for_evaluation(self, model):
        model.compile(loss="sparse_categorical_crossentropy")

    def fit(self, model, *, epochs, callbacks=()):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(64, 8, 8, 1)).astype("float32"), rng.integers(0, 10, 64)
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
        self.epochs.append(epochs)
        self.history = model.fit(x, y, batch_size=8, epochs=epochs, callbacks=[*callbacks], verbose=0).history


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_it_prunes_while_training_and_says_what_it_did(small_cnn, scope):
    context = _Context()
    model = Prune(0.8, epochs=3, scope=scope, rules={"head": None}).apply(small_cnn(), context)
    counts = dict.fromkeys(("weights", "zeros"), 0)
    spared = ("head", "sep/depthwise_kernel")
    for kernel in context.record["kernels"]:
        assert (kernel["zeros"] == 0) == (kernel["layer"] in spared)
        if kernel["layer"] not in spared:
            counts = {name: counts[name] + kernel[name] for name in counts}
    assert counts["zeros"] / counts["weights"] == pytest.approx(0.8, abs=0.005)
    rising = context.history["sparsity"]
    assert 0 < rising[0] < rising[1] < rising[2] == tfopt.measure.sparsity(model)
    json.dumps(context.record)


@pytest.mark.parametrize(
    "arguments",
    [
        {"schedule": "constant"},
        {"schedule": "rigl", "distribution": "erk"},
        {"schedule": "one_shot", "begin": 0.5},
        {"schedule": "one_shot", "criterion": "snip", "batch_size": 16},
        {"regrow": True, "pattern": "1x4"},
        {"criterion": "movement", "distribution": "global"},
        {"distribution": "sensitivity", "batch_size": 16, "samples": 32},
    ],
    ids=lambda arguments: " ".join(map(str, arguments.values())),
)
def test_every_kind_of_pruning_ends_at_the_asked_sparsity(small_cnn, arguments):
    context = _Context()
    model = Prune(0.8, epochs=2, rules={"conv1": None}, **arguments).apply(small_cnn(), context)
    entries = masked(model)
    zeros = sum(np.count_nonzero(~entry.mask.value) for entry in entries)
    assert zeros / sum(entry.weights.size for entry in entries) == pytest.approx(0.8, abs=0.01)
    assert all(not entry.weights[~entry.mask.value].any() for entry in entries)
    assert all(entry.mask.plan is None for entry in entries)
    assert context.record["kernels"][0]["layer"] == "conv1"
    json.dumps(context.record)


def test_a_lottery_ticket_trains_and_rewinds(small_cnn):
    context = _Context()
    stage = Prune(pattern="2:4", epochs=2, schedule="lottery_ticket", rounds=2, rewind_epochs=1)
    assert stage.sparsity == 0.5
    model = stage.apply(small_cnn(), context)
    assert context.epochs == [1, 2, 2, 2]
    assert all((np.abs(entry.weights[~entry.mask.value]) == 0).all() for entry in masked(model))
    hidden = next(entry for entry in masked(model) if entry.kernel.path == "hidden")
    assert (hidden.mask.value.T.reshape(-1, 4).sum(axis=1) == 2).all()


def test_it_is_data():
    stage = Prune(0.9, epochs=2, rules={"head": 0.5})
    config = json.loads(json.dumps(stage.get_config()))
    assert config.pop("class") == "Prune"
    assert Prune(**config) == stage
    assert config["sparsity"] == 0.9
    assert Prune().sparsity == 0.8
    with pytest.raises(dataclasses.FrozenInstanceError):
        stage.sparsity = 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 1.2}, "sparsity must be"),
        ({"epochs": 0}, "epochs to be a whole number >= 1"),
        ({"scope": "model"}, "scope must be"),
        ({"begin": 0.8}, "end must come after begin"),
        ({"end": 7}, "end must be"),
        ({"frequency": -1}, "frequency must be"),
        ({"pattern": "2:5x"}, "Expected pattern"),
        ({"pattern": "2:4", "sparsity": 0.7}, "leave sparsity out"),
        ({"criterion": "snips"}, "Did you mean 'snip'"),
        ({"criterion": "snip"}, 'schedule="one_shot", begin=0.0'),
        ({"criterion": "movement", "schedule": "one_shot"}, "give a schedule"),
        ({"criterion": "movement", "schedule": "lottery_ticket"}, "give a schedule"),
        ({"schedule": "linear"}, "schedule to be one of"),
        ({"schedule": "rigl", "fraction": 0}, "fraction"),
        ({"schedule": "lottery_ticket", "rounds": 0}, "rounds"),
        ({"rewind_epochs": -1}, "rewind_epochs"),
        ({"distribution": "erks"}, "Did you mean 'erk'"),
        ({"distribution": "sensitivity", "samples": 16}, "batches of 32 of 16 samples"),
        ({"rules": {"head": 80}}, "rules give to 'head'"),
        ({"engine": "tfmot", "schedule": "rigl"}, "engine_options"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Prune(**arguments)


def test_check_passes_where_all_zeros_are_left(small_cnn):
    before = tfopt.prune(small_cnn())
    Prune().check(before, tfopt.graph.copy(before))
    Prune().check(before, tfopt.prune(before, 0.0))


def test_check_passes_where_layers_are_renamed_and_split(small_cnn):
    """As quantization does with a SeparableConv2D."""
    before = tfopt.prune(small_cnn())
    config = before.get_layer("sep").get_config()
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D.from_config(before.get_layer("conv1").get_config())(inputs)
    depthwise = keras.layers.DepthwiseConv2D(
        3, padding="same", use_bias=False, depthwise_constraint=config["depthwise_constraint"], name="first"
    )
    pointwise = keras.layers.Conv2D(4, 1, kernel_constraint=config["pointwise_constraint"], name="second")
    x = keras.layers.Flatten()(keras.layers.MaxPooling2D()(pointwise(depthwise(x))))
    for name in ("hidden", "head"):
        x = keras.layers.Dense.from_config(before.get_layer(name).get_config())(x)
    after = keras.Model(inputs, x)
    tfopt.pruning.apply_masks(after)
    Prune().check(before, after)


def test_check_names_the_layer_whose_zeros_are_lost(small_cnn):
    before, after = tfopt.prune(small_cnn()), tfopt.prune(small_cnn())
    kernel = after.get_layer("hidden").kernel
    kernel.assign(np.where(kernel.numpy() == 0, 1e-30, kernel.numpy()))
    with pytest.raises(InvariantError, match="819 pruned weights of 'hidden'"):
        Prune().check(before, after)


def test_check_names_the_layer_whose_mask_is_lost(small_cnn):
    before, after = tfopt.prune(small_cnn()), tfopt.prune(small_cnn(), rules={"hidden": None})
    with pytest.raises(InvariantError, match="mask of the pruned layer 'hidden' is gone"):
        Prune().check(before, after)


def test_check_does_not_take_one_mask_for_two():
    def build():
        inputs = keras.Input((4,))
        layers = [keras.layers.Dense(4, kernel_initializer="ones", name=name) for name in "ab"]
        return keras.Model(inputs, layers[1](layers[0](inputs)))

    before, after = tfopt.prune(build()), tfopt.prune(build(), rules={"b": None})
    assert np.array_equal(*[entry.mask.value for entry in masked(before)])
    with pytest.raises(InvariantError, match="'b' is gone"):
        Prune().check(before, after)
