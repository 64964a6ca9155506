"""The smaller model computes what the masked one does, and is a model like any other."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.channels.cut import cut
from tfopt.channels.dependency import dependencies
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.pruning.mask import mask_of

_SPEC = importlib.util.spec_from_file_location("equality", Path(__file__).with_name("equality.py"))
equality = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(equality)


def test_a_small_network_is_cut(small_cnn):
    found, keep, smaller = equality.assert_cut_is_masked(small_cnn())
    assert smaller.count_params() < found.model.count_params()
    assert [layer.name for layer in smaller.layers] == [layer.name for layer in found.model.layers]
    conv1 = next(group for group in found.groups if group.name == "conv1")
    assert smaller.get_layer("conv1").filters == keep[conv1.units].sum()


def test_a_bad_choice_is_refused(small_cnn):
    found = dependencies(small_cnn())
    with pytest.raises(InvalidArgumentError, match="a boolean for each"):
        cut(found, np.ones(3, bool))
    keep = np.ones(found.count, bool)
    keep[found.groups[0].units] = False
    with pytest.raises(InvalidArgumentError, match=f"Nothing would be left of {found.groups[0].name}"):
        cut(found, keep)


def test_a_shared_layer_is_cut_once():
    inputs = keras.Input((4,))
    shared = L.Dense(6)
    x = L.Add()([L.Dense(4)(shared(L.Dense(5)(inputs))), L.Dense(4)(shared(L.Dense(5)(inputs)))])
    found, _, smaller = equality.assert_cut_is_masked(keras.Model(inputs, L.Dense(2)(x)))
    assert sum(isinstance(layer, L.Dense) for layer in smaller.layers) == 6
    assert len(found.groups) == 3


def _bottleneck():
    inputs = keras.Input((4, 4, 3), name="image")
    x = L.Conv2D(6, 3, padding="same", kernel_regularizer="l2", name="conv")(inputs)
    x = L.BatchNormalization(name="norm")(x)
    x = L.ReLU(name="relu")(x)
    x = L.Conv2D(8, 1, activation="relu", name="wide")(x)
    return keras.Model(inputs, L.Dense(2, name="head")(L.GlobalAveragePooling2D(name="pool")(x)))


def _half(found):
    keep = np.ones(found.count, bool)
    for group in found.groups:
        keep[group.units[: len(group.units) // 2]] = False
    return keep


def test_what_was_set_on_a_layer_stays():
    model = _bottleneck()
    model.get_layer("norm").trainable = False
    found = dependencies(model)
    smaller = cut(found, _half(found))
    assert not smaller.get_layer("norm").trainable
    assert smaller.get_layer("conv").kernel_regularizer.l2 == model.get_layer("conv").kernel_regularizer.l2
    assert smaller.input.name == "image"
    assert smaller.name == model.name


def test_it_trains():
    found = dependencies(_bottleneck())
    smaller = cut(found, _half(found))
    before = smaller.get_layer("conv").kernel.numpy()
    smaller.compile("sgd", "mse")
    rng = np.random.default_rng(0)
    smaller.fit(rng.normal(size=(8, 4, 4, 3)), rng.normal(size=(8, 2)), verbose=0)
    after = smaller.get_layer("conv").kernel.numpy()
    assert after.shape == before.shape == (3, 3, 3, 3)
    assert np.abs(after - before).max() > 0


def test_the_original_is_left_alone():
    model = _bottleneck()
    weights = model.get_weights()
    found = dependencies(model)
    smaller = cut(found, np.ones(found.count, bool))
    smaller.get_layer("conv").kernel.assign(np.zeros((3, 3, 3, 6)))
    for one, other in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(found.model.get_layer("conv").kernel, model.get_layer("conv").kernel)


def test_keras_alone_loads_it(tmp_path):
    found = dependencies(_bottleneck())
    smaller = cut(found, _half(found))
    smaller.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, keras, numpy as np\n"
        "model = keras.models.load_model(sys.argv[1] + '/model.keras')\n"
        "np.save(sys.argv[1] + '/y.npy', model(np.load(sys.argv[1] + '/x.npy')))\n"
        "assert 'tfopt' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), smaller(x), atol=1e-6)


def test_masks_of_kernels_are_cut_with_them():
    model = _bottleneck()
    equality.give_weights(model)
    found = dependencies(tfopt.prune(model, 0.5))
    keep = _half(found)
    smaller = cut(found, keep)
    for name in ("conv", "wide"):
        layer = smaller.get_layer(name)
        mask = mask_of(layer.kernel)
        assert mask is layer.kernel_constraint
        assert mask.value.shape == tuple(layer.kernel.shape)
        np.testing.assert_array_equal(mask.value, layer.kernel.numpy() != 0)
    smaller.compile("sgd", "mse")
    smaller.fit(np.ones((2, 4, 4, 3)), np.ones((2, 2)), verbose=0)
    assert (smaller.get_layer("wide").kernel.numpy() == 0).any()


def test_masks_of_attention_are_cut_with_it():
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, L.Dense(2)(L.MultiHeadAttention(4, 3, name="a")(inputs, inputs)))
    found = dependencies(tfopt.prune(model, 0.5))
    smaller = cut(found, _half(found))
    masks = [(variable, mask_of(variable)) for variable in smaller.variables]
    assert sum(mask is not None for _, mask in masks) > 1
    for variable, mask in masks:
        if mask is not None:
            assert mask.value.shape == tuple(variable.shape)
    smaller.compile("sgd", "mse")
    smaller.fit(np.ones((2, 5, 4)), np.ones((2, 5, 2)), verbose=0)


def test_a_normalization_over_channels_takes_its_statistics_over_those_that_are_left():
    inputs = keras.Input((5,))
    x = L.Dense(6, name="dense")(inputs)
    model = keras.Model(inputs, L.Dense(2, name="head")(L.LayerNormalization(name="norm")(x)))
    equality.give_weights(model)
    found = dependencies(model)
    keep = _half(found)
    x = equality.inputs_of(model)
    h = x @ model.get_layer("dense").kernel.numpy()[:, keep] + model.get_layer("dense").bias.numpy()[keep]
    h = (h - h.mean(-1, keepdims=True)) / np.sqrt(h.var(-1, keepdims=True) + 1e-3)
    norm, head = model.get_layer("norm"), model.get_layer("head")
    h = h * norm.gamma.numpy()[keep] + norm.beta.numpy()[keep]
    expected = h @ head.kernel.numpy()[keep] + head.bias.numpy()
    np.testing.assert_allclose(cut(found, keep)(x), expected, atol=1e-5)


def test_a_config_that_cannot_be_read_back_is_refused_with_advice():
    def smooth(w):
        return w * 0.9

    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(2)(L.Dense(6, kernel_constraint=smooth, name="own")(inputs)))
    found = dependencies(model)
    with pytest.raises(UnsupportedModel, match=r"'own' \(Dense\) cannot be made anew.*register_keras"):
        cut(found, _half(found))


def test_an_activation_that_users_wrote_stays_their_own():
    def swish(x):
        return x * keras.ops.sigmoid(1.7 * x)

    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(2)(L.Dense(6, activation=swish, name="own")(inputs)))
    found, _, smaller = equality.assert_cut_is_masked(model)
    assert found.count == 6
    assert smaller.get_layer("own").activation is swish


def test_values_that_a_layer_began_with_have_no_say():
    inputs = keras.Input((4,))
    begin = keras.initializers.Constant(np.ones((4, 6)))
    model = keras.Model(inputs, L.Dense(2)(L.Dense(6, kernel_initializer=begin)(inputs)))
    equality.assert_cut_is_masked(model)
