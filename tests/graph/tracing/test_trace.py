"""Subclassed models as functional ones."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

from tfopt.errors import UnsupportedModel
from tfopt.graph import as_functional


class Subclassed(keras.Model):
    def __init__(self, function=lambda x: x):
        super().__init__()
        self.function = function
        self.embed, self.head = L.Embedding(9, 4), L.Dense(3)

    def call(self, x):
        return self.head(self.function(self.embed(x)))


class Joined(keras.Model):
    def __init__(self):
        super().__init__()
        self.head = L.Dense(3)

    def call(self, x):
        return {"sum": self.head(x["a"]) + self.head(x["b"])}


def test_a_subclassed_model_becomes_functional_with_its_own_layers():
    model = Subclassed()
    tokens = np.arange(6)[None] % 9
    before = model(tokens)
    functional = as_functional(model)
    assert functional.inputs[0].dtype == "int32"
    assert model.head in functional.layers
    np.testing.assert_array_equal(functional(tokens), before)
    assert as_functional(functional) is functional


class Tells(keras.Model):
    """Tells all its layers whether it trains, also those that do not ask, as TensorFlow's tutorials do."""

    def __init__(self):
        super().__init__()
        self.embedding, self.gru, self.head = L.Embedding(9, 4), L.GRU(3), L.Dense(2)

    def call(self, tokens, training=False):
        x = self.embedding(tokens, training=training)
        return self.head(self.gru(x, training=training), training=training)


def test_training_may_be_told_to_layers_that_do_not_ask():
    model, tokens = Tells(), np.arange(8).reshape(2, 4)
    expected = model(tokens)
    np.testing.assert_allclose(as_functional(model)(tokens), expected, atol=1e-6)


def test_inputs_and_outputs_keep_their_structure():
    model = Joined()
    data = {"a": np.ones((2, 4), "float32"), "b": np.zeros((2, 4), "float32")}
    before = model(data)["sum"]
    functional = as_functional(model)
    assert {*functional.input} == {"a", "b"}
    np.testing.assert_array_equal(functional(data)["sum"], before)


def test_subclassed_models_that_cannot_be_read_are_refused():
    with pytest.raises(UnsupportedModel, match="call it once on a batch"):
        as_functional(Subclassed())
    model = Subclassed(lambda x: tf.math.igamma(x, x))
    model(np.zeros((1, 6), "int32"))
    with pytest.raises(
        UnsupportedModel, match=r"symbolic tensors: tf\.math\.igamma does not .*test_trace.py:"
    ):
        as_functional(model)


def test_what_was_read_and_what_could_not_be_is_logged(caplog):
    model = Subclassed()
    model(np.zeros((1, 6), "int32"))
    refused = Subclassed(lambda x: tf.math.igamma(x, x))
    refused(np.zeros((1, 6), "int32"))
    with caplog.at_level("DEBUG", "tfopt.graph"):
        as_functional(model)
        with pytest.raises(UnsupportedModel):
            as_functional(refused)
    assert f"read the code of {model.name} (Subclassed)" in caplog.messages
    assert f"the code of the model {model.name} is a graph of 2 calls" in caplog.messages
    failed = [each for each in caplog.messages if each.startswith(f"the code of the model {refused.name}")]
    assert "cannot be read: tf.math.igamma does not take symbolic tensors" in failed[0]
