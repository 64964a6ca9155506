"""Which kernels XNNPACK runs sparse."""

import keras
import numpy as np
import pytest
from keras import layers

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedModel
from tfopt.pruning import xnnpack_inference, xnnpack_rules


def _net(change=None, *, start=None, pool=None):
    """A small net of the kind that runs sparse; `change` is put into its middle."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3), name="image")
    if start is None:
        x = layers.ZeroPadding2D(1, name="pad")(inputs)
        x = layers.Conv2D(8, 3, strides=2, use_bias=False, name="start")(x)
    else:
        x = start(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(6.0, name="relu")(x)
    skip = x
    x = layers.Conv2D(16, 1, activation="relu", name="expand")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.Conv2D(8, 1, name="project")(x)
    x = layers.Add(name="add")([skip, x])
    if change is not None:
        x = change(x)
    x = layers.ZeroPadding2D(2, name="pad2")(x)
    x = layers.DepthwiseConv2D(5, strides=2, activation="hard_silu", name="depthwise2")(x)
    x = layers.Conv2D(24, 1, name="last")(x)
    x = (pool or layers.GlobalAveragePooling2D(name="pool"))(x)
    return keras.Model(inputs, layers.Dense(10, name="head")(layers.Flatten(name="flat")(x)))


def test_the_1x1_convolutions_between_image_and_pooling_run_sparse():
    found = xnnpack_inference(_net())
    assert found.kernels == ("expand", "project", "last")
    assert found.obstacles == {}
    assert found.eligible


def _squeeze(x):
    s = layers.GlobalAveragePooling2D(keepdims=True, name="squeeze")(x)
    s = layers.Conv2D(4, 1, activation="relu", name="reduce")(s)
    s = layers.Conv2D(8, 1, activation="hard_sigmoid", name="excite")(s)
    return layers.Multiply(name="scale")([x, s])


def test_squeeze_and_excitation_is_a_part_of_it():
    found = xnnpack_inference(_net(_squeeze))
    assert found.kernels == ("expand", "project", "reduce", "excite", "last")


@pytest.mark.parametrize(
    ("model", "path", "reason"),
    [
        (lambda: _net(layers.Conv2D(8, 3, padding="same", name="it")), "it", "Conv2D with the kernel (3, 3)"),
        (lambda: _net(layers.Conv2D(8, 1, strides=2, name="it")), "it", "a 1x1 convolution with strides"),
        (lambda: _net(layers.Conv2D(8, 1, activation="tanh", name="it")), "it", "an activation"),
        (lambda: _net(layers.Conv2D(8, 1, groups=2, name="it")), "it", "groups"),
        (lambda: _net(layers.MaxPooling2D(name="it")), "it", "does not run MaxPooling2D"),
        (lambda: _net(layers.Softmax(name="it")), "it", "does not run Softmax"),
        (lambda: _net(layers.DepthwiseConv2D(3, strides=2, padding="same", name="it")), "it", "a depthwise"),
        (lambda: _net(layers.DepthwiseConv2D(3, padding="valid", name="it")), "it", "a depthwise"),
        (
            lambda: _net(layers.DepthwiseConv2D(3, dilation_rate=2, padding="same", name="it")),
            "it",
            "a depthwise",
        ),
        (
            lambda: _net(start=layers.Conv2D(8, 3, strides=2, padding="same", name="start")),
            "start",
            "Conv2D with the kernel (3, 3)",
        ),
        (lambda: _net(start=layers.Conv2D(8, 1, name="start")), "start", "does not begin with a Conv2D of"),
        (lambda: _net(pool=layers.AveragePooling2D(8, name="pool")), "head", "no global average pooling"),
    ],
)  # fmt: skip
def test_what_is_in_the_way_is_told(model, path, reason):
    model = model()
    found = xnnpack_inference(model)
    assert not found.eligible
    assert reason in found.obstacles[path]
    with pytest.raises(InvalidArgumentError, match=r"XNNPACK can run nothing of .* sparse.*not faster"):
        xnnpack_rules(model)


def test_a_tensor_that_is_read_elsewhere_or_returned_keeps_the_part_from_it():
    net = _net()
    branch = keras.layers.Softmax(name="branch")(net.get_layer("add").output)
    found = xnnpack_inference(keras.Model(net.inputs, [*net.outputs, branch]))
    assert "'branch' reads the same tensor" in found.obstacles["pad2"]
    found = xnnpack_inference(keras.Model(net.inputs, [*net.outputs, net.get_layer("add").output]))
    assert "it reads an output of the model" in found.obstacles["pad2"]


def test_layers_in_nested_models_are_called_by_their_paths():
    net = _net()
    inputs = keras.Input((32, 32, 3))
    assert xnnpack_inference(keras.Model(inputs, net(inputs))).kernels[0].endswith("/expand")


def test_the_rules_prune_what_runs_sparse_and_nothing_else():
    model = _net()
    rules = xnnpack_rules(model, 0.7)
    assert rules == {"expand": 0.7, "project": 0.7, "last": 0.7, "*": None}
    pruned = tfopt.prune(model, rules=rules)
    zeros = {row.layer: row.sparsity for row in tfopt.measure.layer_table(pruned)}
    assert {path for path, share in zeros.items() if share} == {"expand", "project", "last"}
    for path in ("expand", "project", "last"):
        kernel = pruned.get_layer(path).kernel.numpy()
        assert np.count_nonzero(kernel == 0) > 2 / 3 * kernel.size


@pytest.mark.parametrize("sparsity", [0.5, 2 / 3, 1.0, "much"])
def test_a_share_of_zeros_at_which_nothing_runs_sparse_is_refused(sparsity):
    with pytest.raises(InvalidArgumentError, match="sparsity to be a finite number"):
        xnnpack_rules(_net(), sparsity)


def test_subclassed_models_are_refused():
    class Own(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(UnsupportedModel, match="subclassed"):
        xnnpack_inference(Own())
