"""A layer as what it is made of, or left whole."""

import logging

import keras
import numpy as np
import pytest
from keras import layers, ops

from tfopt import graph
from tfopt.graph import Decomposer, NotSymbolic, Parts, decompose_call

MASK = np.array([1, 0, 1, 0], "float32")
X = np.random.default_rng(0).normal(size=(2, 5, 4)).astype("float32")


def _decomposed(model, find):
    """Return the model whose layers `find(layer)` decomposes, the decomposer, and the paths of the calls."""
    decomposer, copier, paths = Decomposer(find), graph.Copier(), []

    def emit(node, args, kwargs):
        paths.append(node.path)
        return copier(node)(*args, **kwargs)

    try:
        return graph.replay(model, emit, decomposer=decomposer), decomposer, paths
    finally:
        decomposer.restore_names()


def _model(layer):
    inputs = keras.Input((5, 4))
    return keras.Model(inputs, layer(inputs))


def _as_two(parts, layer, x):
    first = parts("first", layers.Dense, 4, weights=[layer.kernel, layer.bias])
    return parts("second", layers.Activation, layer.activation)(first(x))


def test_a_layer_is_made_of_parts_with_its_weights():
    dense = layers.Dense(4, activation="relu", name="dense")
    model = _model(dense)
    made, decomposer, paths = _decomposed(model, lambda each: _as_two if each is dense else None)
    assert paths == ["dense/first", "dense/second"]
    assert decomposer.rewritten == [dense]
    assert not decomposer.left_whole
    np.testing.assert_allclose(made(X), model(X), rtol=1e-6)


def test_parts_are_made_once_however_often_the_layer_is_called():
    dense = layers.Dense(4, name="dense")
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, dense(dense(inputs)))
    made, _, paths = _decomposed(model, lambda each: _as_two if each is dense else None)
    assert paths == ["dense/first", "dense/second"] * 2
    assert made.count_params() == model.count_params()
    np.testing.assert_allclose(made(X), model(X), rtol=1e-5, atol=1e-6)


def test_none_leaves_a_layer_whole_without_a_reason():
    dense = layers.Dense(4, name="dense")
    _, decomposer, paths = _decomposed(_model(dense), lambda _: lambda *_: None)
    assert paths == ["dense"]
    assert not decomposer.left_whole
    assert not decomposer.rewritten


def test_what_cannot_be_read_is_left_whole_and_the_reason_is_kept(caplog):
    def refuse(*_):
        raise NotSymbolic("it needs numbers")

    with caplog.at_level(logging.DEBUG, "tfopt.graph"):
        _, decomposer, paths = _decomposed(_model(layers.Dense(4, name="dense")), lambda _: refuse)
    assert paths == ["dense"]
    assert str(decomposer.left_whole["dense"]) == "it needs numbers"
    assert "left whole: dense (Dense): it needs numbers" in caplog.messages


def test_what_a_layer_is_made_of_is_logged(caplog):
    dense = layers.Dense(4, name="dense")
    with caplog.at_level(logging.DEBUG, "tfopt.graph"):
        _decomposed(_model(dense), lambda each: _as_two if each is dense else None)
    assert "decomposed: dense (Dense): Dense, Activation" in caplog.messages


def test_an_activity_regularizer_is_of_what_comes_out_in_the_end():
    dense = layers.Dense(4, activation="relu", activity_regularizer="l2", name="dense")
    model = _model(dense)
    model(X)
    expected = float(sum(model.losses))
    made, _, paths = _decomposed(model, lambda each: _as_two if each is dense else None)
    assert "dense/activity_regularizer" in paths
    made(X)
    assert float(sum(made.losses)) == pytest.approx(expected, rel=1e-5)


def test_operations_are_numbered_from_the_start_in_each_layer():
    def twice(_, layer, x):
        return ops.exp(ops.exp(x)) * 0.1

    first, second = layers.Identity(name="one"), layers.Identity(name="two")
    inputs = keras.Input((5, 4))
    ops.exp(inputs)  # Keras has counted one in this process already
    model = keras.Model(inputs, second(first(inputs)))
    _, _, paths = _decomposed(model, lambda each: twice if isinstance(each, layers.Identity) else None)
    assert paths == [f"{name}/{each}" for name in ("one", "two") for each in ("exp", "exp_1", "multiply")]


def test_a_mask_reaches_what_a_layer_is_made_of():
    def masked(_, layer, x):
        return ops.where(graph.mask_of(x)[..., None], x, -1.0)

    layer = layers.Identity(name="reads_mask")
    layer.supports_masking = True
    inputs = keras.Input((5, 4))
    model = keras.Model(inputs, layer(layers.Masking(name="mask")(inputs)))
    made, *_ = _decomposed(model, lambda each: masked if each is layer else None)
    data = X.copy()
    data[0, 1] = 0
    expected = data.copy()
    expected[0, 1] = -1
    np.testing.assert_array_equal(made(data), expected)


class Gated(layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.gate = layers.Dense(4, activation="sigmoid", name="gate")

    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(4,), initializer="ones")
        self.gate.build(shape)

    def call(self, x):
        return x * self.gate(x) * self.scale


def test_code_is_decomposed_by_running_it():
    layer = Gated(name="gated")
    model = _model(layer)
    made, decomposer, paths = _decomposed(model, lambda each: decompose_call if each is layer else None)
    assert {"gated/gate", "gated/scale"} <= {*paths}
    assert decomposer.rewritten == []  # its code runs in place
    np.testing.assert_allclose(made(X), model(X), rtol=1e-6)


def test_a_constant_knows_under_which_masks_code_reads_it():
    class Sparse(Gated):
        def call(self, x):
            return ops.matmul(x, ops.outer(self.scale, self.scale)) + self.scale * MASK

    layer = Sparse(name="sparse")
    decomposer = _decomposed(_model(layer), lambda each: decompose_call if each is layer else None)[1]
    (constant,) = [each for each in decomposer.constants if each.name == "scale"]
    assert not constant.only_multiplied
    assert constant.mask is None  # for the product reads it without one
    assert [mask is not None for mask in constant.masks].count(True) == 1


def test_parts_keep_the_weights_that_they_are_given():
    parts = Parts()
    made = parts("bias", layers.Dense, 3, weights=[np.ones((2, 1, 3)), np.zeros(3)])
    assert made in parts
    assert parts("bias", layers.Dense, 7) is made
    made.build((None, 2))
    parts.set_weights()
    assert made.kernel.numpy().tolist() == np.ones((2, 3)).tolist()
