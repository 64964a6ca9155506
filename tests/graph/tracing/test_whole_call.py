"""A model whose code cannot be read, as a graph of one call."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import UnsupportedModel
from tfopt.graph import as_graph


class Unread(keras.Model):
    """Computes what has no equivalent in symbols."""

    def __init__(self):
        super().__init__()
        self.head = keras.layers.Dense(2)

    def call(self, inputs):
        return self.head(tf.math.igamma(tf.abs(inputs["a"]) + 1, tf.abs(inputs["b"]) + 1))


class Tokens(keras.Model):
    def __init__(self):
        super().__init__()
        self.table = tf.Variable(tf.ones((5, 2)))

    def call(self, tokens):
        return tf.gather(self.table, tokens)


def test_it_is_one_call_of_the_same_variables():
    model = Unread()
    data = {"a": np.ones((2, 3), "float32"), "b": np.ones((2, 3), "float32")}
    expected = model(data)
    made = as_graph(model)
    assert {*made.input} == {"a", "b"}
    assert made.variables[0].value is model.head.kernel.value
    np.testing.assert_array_equal(made(data), expected)


def test_inputs_are_integers_where_the_code_runs_on_these_alone():
    model = Tokens()
    model(np.zeros((1, 4), "int32"))
    assert as_graph(model).inputs[0].dtype == "int32"


def test_a_functional_model_is_returned_as_it_is(small_cnn):
    model = small_cnn()
    assert as_graph(model) is model


def test_a_model_that_was_never_called_is_refused():
    with pytest.raises(UnsupportedModel, match="call it once on a batch of data"):
        as_graph(Unread())
