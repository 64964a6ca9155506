"""Models of Keras 2 become Keras 3 models with the same outputs."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedModel, UnsupportedOperation

_spec = importlib.util.spec_from_file_location("legacy_zoo", Path(__file__).parent / "zoo.py")
zoo = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(zoo)


def _mobile():
    """A model with what Keras 3 refuses in files of Keras 2, trained for a step."""
    keras.utils.set_random_seed(0)
    inputs = tf_keras.Input((16, 16, 3), name="image")
    x = layers.Rescaling(1 / 255.0)(inputs)
    x = layers.Conv2D(8, 3, strides=2, use_bias=False, kernel_regularizer="l2", name="stem/conv")(x)
    x = layers.BatchNormalization(trainable=False, name="stem/norm")(x)
    y = layers.DepthwiseConv2D(3, padding="same", depthwise_constraint="max_norm", name="depthwise")(x)
    y = y * tf.nn.relu6(y + 3.0) / 6.0
    scale = tf.reduce_mean(y, [1, 2], keepdims=True)
    scale = layers.Conv2D(8, 1, activation="hard_sigmoid", name="squeeze")(scale)
    x = layers.Add(name="add")([x, layers.Multiply()([y, scale])])
    x = layers.LeakyReLU(0.2)(x)[:, 1:, :-1]
    x = layers.GlobalAveragePooling2D()(x)
    model = tf_keras.Model(inputs, layers.Dense(4, activation="softmax", name="head")(x), name="mobile")
    model.compile("adam", "sparse_categorical_crossentropy")
    model.train_on_batch(np.random.default_rng(0).normal(0, 99, (8, 16, 16, 3)), np.arange(8) % 4)
    return model


@pytest.fixture(scope="module")
def mobile():
    return zoo.with_random_weights(_mobile())


@pytest.fixture(scope="module")
def from_h5(mobile, tmp_path_factory):
    path = tmp_path_factory.mktemp("h5") / "mobile.h5"
    mobile.save(path)
    with pytest.raises(Exception, match=r"groups|TFOpLambda"):
        keras.models.load_model(path)
    return tfopt.from_legacy(path)


def test_a_file_that_keras_refuses_gives_the_same_outputs(mobile, from_h5):
    assert isinstance(from_h5, keras.Model)
    zoo.assert_same_outputs(mobile, from_h5)


def test_names_flags_regularizers_and_constraints_are_kept(from_h5):
    named = {layer.name: layer for layer in from_h5.layers}
    assert {"image", "stem.conv", "stem.norm", "depthwise", "squeeze", "add", "head"} <= {*named}
    assert from_h5.name == "mobile"
    assert [name for name, layer in named.items() if not layer.trainable] == ["stem.norm"]
    assert isinstance(named["stem.conv"].kernel_regularizer, keras.regularizers.L2)
    assert isinstance(named["depthwise"].depthwise_constraint, keras.constraints.MaxNorm)
    assert named["leaky_re_lu"].negative_slope == pytest.approx(0.2)


def test_operations_keep_their_names_and_stay_operations(from_h5):
    names = [operation.name for operation in from_h5.operations]
    assert "tf.nn.relu6" in names
    assert "tf.math.reduce_mean" in names
    assert "TensorFlowFunction" not in {type(each).__name__ for each in from_h5.operations}


def test_the_result_trains_and_is_saved_like_any_keras_model(from_h5, mobile, tmp_path):
    from_h5.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    zoo.assert_same_outputs(mobile, loaded)
    loaded.compile("adam", "sparse_categorical_crossentropy")
    before = loaded.get_layer("head").kernel.numpy()
    loaded.train_on_batch(np.random.default_rng(0).normal(size=(4, 16, 16, 3)), np.arange(4))
    assert np.abs(loaded.get_layer("head").kernel.numpy() - before).max() > 0


def test_every_layer():
    old = zoo.of_layers()
    zoo.assert_same_outputs(old, tfopt.from_legacy(old))


def test_every_function_that_keras_has_an_operation_for():
    old = zoo.of_functions(zoo.OPERATIONS)
    new = tfopt.from_legacy(old)
    zoo.assert_same_outputs(old, new)
    assert "TensorFlowFunction" not in {type(each).__name__ for each in new.operations}


def test_a_function_that_keras_lacks_becomes_a_layer_that_can_be_saved(tmp_path):
    old = zoo.of_functions(zoo.TENSORFLOW_ONLY)
    tfopt.from_legacy(old).save(tmp_path / "model.keras")
    zoo.assert_same_outputs(old, keras.models.load_model(tmp_path / "model.keras"))


def _recurrent():
    words = tf_keras.Input((6,), dtype="int32", name="words")
    state = tf_keras.Input((3,), name="state")
    x = layers.Embedding(5, 4, mask_zero=True)(words)
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True, name="lstm"), name="both")(x)
    last = layers.GRU(3, reset_after=False)(both, initial_state=state)
    cells = layers.RNN([layers.LSTMCell(3), layers.GRUCell(2)])(x)
    attended = layers.MultiHeadAttention(2, 3)(both, both, use_causal_mask=True)
    each = layers.TimeDistributed(layers.Dense(2))(attended)
    return tf_keras.Model({"words": words, "state": state}, {"last": last, "cells": cells, "each": each})


def _nested():
    block = tf_keras.Sequential(
        [tf_keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()], name="block"
    )
    left, right = tf_keras.Input((4,), name="left"), tf_keras.Input((4,), name="right")
    two = tf_keras.Model([left, right], [block(left) - block(right), layers.Concatenate()([left, right])])
    start = tf_keras.Input((4,), name="start")
    return tf_keras.Model(start, two([start, block(start)]))


def _with_trained_activations():
    inputs = tf_keras.Input((4,))
    shared = layers.Dense(4, activation=layers.PReLU(name="slopes"), name="shared")
    rest = tf_keras.Sequential(
        [tf_keras.Input((4,)), layers.Dense(3, activation=layers.PReLU())], name="rest"
    )
    return tf_keras.Model(inputs, rest(shared(shared(inputs))))


@pytest.mark.parametrize("make", [_recurrent, _nested, _with_trained_activations])
def test_masks_states_nested_and_shared_models(make):
    old = zoo.with_random_weights(make())
    new = tfopt.from_legacy(old)
    zoo.assert_same_outputs(old, new)
    assert len(new.weights) == len(old.weights)


def test_what_a_frozen_model_holds_is_frozen():
    old = _nested()
    old.get_layer("block").trainable = False
    old.get_layer("block").layers[1].trainable = True
    new = tfopt.from_legacy(old)
    assert not new.get_layer("block").trainable
    assert new.trainable_weights == old.trainable_weights == []


class Scaled(tf_keras.layers.Layer):
    """A layer of a user's own."""

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(shape[-1],))

    def call(self, inputs):
        return inputs * self.factor


class ScaledInKeras3(keras.layers.Layer):
    """The same in Keras 3."""

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(shape[-1],))

    def call(self, inputs):
        return inputs * self.factor


def _with_custom_layer():
    return zoo.with_random_weights(
        tf_keras.Sequential([tf_keras.Input((3,)), Scaled(name="mine"), layers.Dense(2)])
    )


@pytest.mark.parametrize("file", ["model.h5", "model.keras", None])
def test_a_layer_of_ones_own_is_given_in_keras_3(file, tmp_path):
    old = _with_custom_layer()
    if file:
        old.save(tmp_path / file)
    new = tfopt.from_legacy(tmp_path / file if file else old, custom_objects={"Scaled": ScaledInKeras3})
    zoo.assert_same_outputs(old, new)
    assert isinstance(new.get_layer("mine"), ScaledInKeras3)


def test_a_layer_of_ones_own_that_is_not_given_is_named(tmp_path):
    old = _with_custom_layer()
    with pytest.raises(UnsupportedOperation, match=r"'mine' of the class Scaled.*custom_objects=\{'Scaled'"):
        tfopt.from_legacy(old)
    old.save(tmp_path / "model.h5")
    with pytest.raises(UnsupportedModel, match=r"Scaled.*custom_objects="):
        tfopt.from_legacy(tmp_path / "model.h5")


class Subclassed(tf_keras.Model):
    """A model whose call is Python code."""

    def call(self, inputs):
        return inputs


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda: 3, InvalidArgumentError, "a Keras 2 model or a tf_keras.Model, got builtins.int"),
        (lambda: keras.Sequential(name="new"), InvalidArgumentError, "'new' is a Keras 3 model already"),
        (lambda: Subclassed(name="sub"), UnsupportedModel, r"'sub' is subclassed \(Subclassed\)"),
        (lambda: tf_keras.Sequential([layers.Dense(2)], name="bare"), InvalidArgumentError, "call.*build"),
        (
            lambda: tf_keras.Sequential(
                [tf_keras.Input((None, 3), ragged=True, name="rows"), layers.LSTM(2)]
            ),
            UnsupportedModel,
            "'rows' is ragged.*mask_zero",
        ),
        (
            lambda: tf_keras.Sequential(
                [
                    tf_keras.Input((2, 3)),
                    layers.TimeDistributed(layers.Dense(2, layers.PReLU(name="slopes")), name="steps"),
                ]
            ),
            UnsupportedOperation,
            "in 'steps' has the activation 'slopes' with weights.*layer of its own",
        ),
        (lambda: "no/such.h5", InvalidArgumentError, "no file or folder no/such.h5"),
        (lambda: __file__, InvalidArgumentError, "no Keras 2 model: expected .h5"),
    ],
)
def test_what_cannot_be_converted_says_what_to_do(make, kind, message):
    with pytest.raises(kind, match=f"(?is){message}"):
        tfopt.from_legacy(make())


def test_a_setting_that_keras_lacks_names_the_layer():
    old = tf_keras.Sequential(
        [tf_keras.Input((4, 4, 3)), layers.BatchNormalization(axis=[1, 3], name="norm")]
    )
    with pytest.raises(UnsupportedOperation, match=r"'norm' has the axes \[1, 3\].*Reshape"):
        tfopt.from_legacy(old)
