"""The canonical model: names, paths, losses, and what the log says."""

import logging

import keras
import numpy as np
from keras import layers as L
from keras import ops

from tfopt.graph import nodes
from tfopt.quantization.canonicalize.canonicalize import canonical


class Numbers(L.Layer):
    """A layer whose code asks for numbers, and so cannot be read."""

    def call(self, x):
        return x * float(np.asarray(x).max())

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def _model():
    inputs = keras.Input((4,), name="x")
    block = keras.Sequential([keras.Input((4,)), L.Dense(4, activation="silu", name="dense")], name="block")
    return keras.Model(inputs, L.Dense(2, name="head")(block(inputs) * 2.0))


def test_every_operation_has_a_path_that_begins_with_that_of_the_whole():
    model = _model()
    result, paths = canonical(model)
    found = {paths[node.path]: type(node.operation).__name__ for node in nodes(result)}
    product = next(node.path for node in nodes(model) if type(node.operation).__name__ == "Multiply")
    assert found == {
        "block/dense": "Dense",
        "block/dense/silu/sigmoid": "Activation",
        "block/dense/silu": "Multiply",
        product: "Scaling",
        "head": "Dense",
    }


def test_the_outputs_of_several_keep_the_names_of_their_layers():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [L.Dense(2, name="one")(inputs), L.Dense(2, name="two")(inputs)])
    result, _ = canonical(model)
    assert [x._keras_history.operation.name for x in result.outputs] == ["one", "two"]


def test_penalties_are_losses_of_the_paths():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(2, activity_regularizer="l2")(inputs))
    x = np.ones((3, 4), "float32")
    model(x)
    expected = float(sum(model.losses))
    result, paths = canonical(model)
    assert len(paths.losses) == 1
    loss = keras.Model(result.inputs, paths.losses[0].tensor)(x)
    np.testing.assert_allclose(np.sum(loss), expected, rtol=1e-5)


def test_an_embedding_makes_no_mask_of_its_own():
    inputs = keras.Input((4,), dtype="int32")
    result, _ = canonical(keras.Model(inputs, L.LSTM(2)(L.Embedding(5, 3, mask_zero=True)(inputs))))
    assert not any(getattr(node.operation, "mask_zero", False) for node in nodes(result))


def test_the_log_names_the_rewrite_of_each_layer(caplog):
    with caplog.at_level(logging.DEBUG, logger="tfopt.quantization.canonicalize"):
        canonical(_model())
    assert "block/dense (Dense) is rewritten by linear_layers.split_activation" in caplog.messages


def test_the_log_says_what_is_left_whole_and_why(caplog):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, Numbers(name="numbers")(ops.relu(inputs)))
    with caplog.at_level(logging.INFO, logger="tfopt.quantization.canonicalize"):
        _, paths = canonical(model)
    assert [*paths.left_whole] == ["numbers"]
    assert any(message.startswith("numbers is left whole: ") for message in caplog.messages)
