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

    def fit(self, model, *, epochs, callbacks=()):
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(64, 8, 8, 1)).astype("float32"), rng.integers(0, 10, 64)
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
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


def test_it_is_data():
    stage = Prune(0.9, epochs=2, rules={"head": 0.5})
    config = json.loads(json.dumps(stage.get_config()))
    assert config.pop("class") == "Prune"
    assert Prune(**config) == stage
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
