"""Recurrent layers as a linear layer on all steps and a loop: equal outputs and states."""

import numpy as np
import pytest
from keras import layers as L
from keras import ops

X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")
MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 1, 1, 0]], bool)
CELLS = {
    "lstm": L.LSTM,
    "gru": L.GRU,
    "gru_reset_before": lambda *args, **config: L.GRU(*args, reset_after=False, **config),
    "simple": L.SimpleRNN,
}


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "config",
    [
        {},
        {"return_sequences": True, "go_backwards": True},
        {"return_state": True, "use_bias": False},
    ],
    ids=["last", "backwards", "states"],
)
def test_a_layer(canonicalized, cell, config):
    found = canonicalized(lambda x: CELLS[cell](2, **config)(x), samples=[X])
    assert found[0] == "Dense"
    assert "Recurrence" in found


@pytest.mark.parametrize("cell", CELLS)
def test_a_layer_with_states_before_the_first_step(canonicalized, cell):
    def function(x, *states):
        return CELLS[cell](2, return_state=True)(x, initial_state=list(states))

    states = [np.ones((3, 2), "float32")] * (2 if cell == "lstm" else 1)
    canonicalized(function, samples=[X, *states])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("zero", [False, True])
def test_masked_steps_repeat_the_output_or_are_zero(canonicalized, cell, zero):
    def function(x, mask):
        layer = CELLS[cell](2, return_sequences=True, zero_output_for_mask=zero)
        return layer(x, mask=mask)

    canonicalized(function, samples=[X, MASK])


@pytest.mark.parametrize("merge", ["concat", "sum", "ave", "mul", None])
def test_a_bidirectional_layer(canonicalized, merge):
    canonicalized(
        lambda x: L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode=merge)(x), samples=[X]
    )


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: L.ConvLSTM1D(2, 2, padding="same", return_sequences=True), (3, 4, 2)),
        (lambda: L.ConvLSTM2D(2, 2, strides=2), (3, 4, 4, 2)),
    ],
)
def test_a_convolutional_layer(canonicalized, layer, shape):
    found = canonicalized(lambda x: layer()(x), shape)
    assert {"Conv1D", "Conv2D"} & {*found}


def test_stacked_cells(canonicalized):
    canonicalized(lambda x: L.RNN([L.LSTMCell(2), L.GRUCell(3)])(x), samples=[X])


class Decay(L.Layer):
    """A cell as users write it, whose state does not begin with zero."""

    state_size = 5
    output_size = 5

    def get_initial_state(self, batch_size=None):
        return [ops.ones((batch_size, 5))]

    def call(self, x, states):
        state = 0.5 * states[0] + x
        return ops.tanh(state), [state]


def test_a_cell_of_a_user(canonicalized):
    canonicalized(lambda x: L.RNN(Decay(), return_sequences=True)(x), samples=[X])
