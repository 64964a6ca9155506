"""Code as the operations that it calls: layers of users, Lambda, activations that are functions."""

import keras
import pytest
from keras import layers as L
from keras import ops


class Twice(L.Layer):
    """A layer as users write it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = L.Dense(4)

    def call(self, x):
        return self.dense(ops.relu(self.dense(x)))


def _cubed(x):
    return x * x * x


def test_the_call_of_a_layer(canonicalized):
    assert canonicalized(lambda x: Twice()(x), (4,)) == ["Dense", "Relu", "Dense"]


def test_the_function_of_a_lambda(canonicalized):
    assert canonicalized(L.Lambda(lambda x: ops.tanh(x) * x), (4,)) == ["Tanh", "Multiply"]


@pytest.mark.parametrize("layer", [L.Dense(4, activation=_cubed), L.Conv1D(4, 2, activation=_cubed)])
def test_an_activation_that_is_a_function(canonicalized, layer):
    found = canonicalized(layer, (5, 4))
    assert found == [type(layer).__name__, "Multiply", "Multiply"]


def test_an_activation_that_is_a_layer(canonicalized):
    assert canonicalized(lambda x: L.Activation(L.LeakyReLU(0.2))(x), (4,)) == ["LeakyReLU"]


def test_a_function_of_the_name_of_an_activation_is_what_it_does(canonicalized):
    """`ops.gelu` approximates by default, and `keras.activations.gelu` does not."""
    assert canonicalized(L.Dense(4, activation=keras.ops.gelu), (5, 4)) == ["Dense", "Gelu"]


@pytest.mark.parametrize("cell", [L.LSTMCell(4), L.GRUCell(4), L.SimpleRNNCell(4)])
def test_a_cell_that_is_called_as_a_layer(canonicalized, cell):
    states = len(keras.tree.flatten(cell.state_size))

    def function(x, *given):
        output, _ = cell(x, list(given))
        return output

    found = canonicalized(function, (3,), *[(4,)] * states)
    assert type(cell).__name__ not in found
    assert "Dense" in found or "Matmul" in found
