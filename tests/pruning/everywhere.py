"""Models whose kernels stand in other layers, and what a pruned one must have: a table for several tests."""

import keras
import numpy as np
from keras import layers as L
from keras import ops


@keras.saving.register_keras_serializable("tests")
class Products(L.Layer):
    """Holds layers, and weights of its own: multiplied, added, looked up."""

    def __init__(self, units=8, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.first = L.Dense(units, name="first")

    def build(self, input_shape):
        steps, features = tuple(input_shape)[1:]
        self.first.build((None, steps, features))
        self.matrix = self.add_weight(name="matrix", shape=(self.units, self.units))
        self.positions = self.add_weight(name="positions", shape=(steps, self.units))
        self.gate = self.add_weight(name="gate", shape=(1, 1, self.units), initializer="ones")
        self.table = self.add_weight(name="table", shape=(4, self.units))
        self.built = True

    def call(self, x):
        rows = ops.take(self.table, np.arange(x.shape[1]) % 4, axis=0)
        return ops.matmul(self.first(x) + self.positions + rows, self.matrix) * self.gate

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("tests")
class Cell(L.Layer):
    """A recurrent cell of somebody's own."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.w = self.add_weight(name="w", shape=(input_shape[-1], self.units))
        self.u = self.add_weight(name="u", shape=(self.units, self.units))

    def call(self, x, states):
        state = ops.tanh(ops.matmul(x, self.w) + ops.matmul(states[0], self.u))
        return state, [state]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def _sequence(make, shape=(5, 6)):
    def build():
        keras.utils.set_random_seed(0)
        inputs = keras.Input(shape)
        return keras.Model(inputs, L.Dense(3, name="head")(L.Flatten()(make(inputs))))

    return build


def _nested():
    return keras.Sequential([keras.Input((5, 6)), L.Dense(4, name="a"), L.Dense(4, name="b")], name="block")


MODELS = {
    "own layer": (_sequence(Products(name="own")), ["own/matrix", "own/first"]),
    "own cell": (_sequence(lambda x: L.RNN(Cell(name="cell"), name="rnn")(x)), ["rnn/cell/w", "rnn/cell/u"]),
    "attention": (
        _sequence(lambda x: L.MultiHeadAttention(2, 4, name="mha")(x, x)),
        ["mha/query", "mha/key", "mha/value", "mha/attention_output"],
    ),
    "grouped attention": (
        _sequence(lambda x: L.GroupQueryAttention(4, 4, 2, name="gqa")(x, x)),
        ["gqa/query", "gqa/key", "gqa/value", "gqa/attention_output"],
    ),
    "LSTM": (_sequence(L.LSTM(4, name="rnn")), ["rnn/kernel", "rnn/recurrent_kernel"]),
    "GRU": (_sequence(L.GRU(4, name="rnn")), ["rnn/kernel", "rnn/recurrent_kernel"]),
    "SimpleRNN": (_sequence(L.SimpleRNN(4, name="rnn")), ["rnn/kernel", "rnn/recurrent_kernel"]),
    "ConvLSTM1D": (
        _sequence(lambda x: L.ConvLSTM1D(3, 2, name="rnn")(x), (3, 6, 2)),
        ["rnn/kernel", "rnn/recurrent_kernel"],
    ),
    "Bidirectional": (
        _sequence(lambda x: L.Bidirectional(L.GRU(4, name="gru"), name="both")(x)),
        [
            f"both/{way}_gru/{name}"
            for way in ("forward", "backward")
            for name in ("kernel", "recurrent_kernel")
        ],
    ),
    "stacked cells": (
        _sequence(
            lambda x: L.RNN(
                L.StackedRNNCells([L.LSTMCell(4, name="one"), L.GRUCell(3, name="two")], name="cells"),
                name="rnn",
            )(x)
        ),
        [f"rnn/cells/{cell}/{name}" for cell in ("one", "two") for name in ("kernel", "recurrent_kernel")],
    ),
    "TimeDistributed": (_sequence(L.TimeDistributed(L.Dense(4, name="in"), name="td")), ["td/in"]),
    "SpectralNormalization": (
        _sequence(L.SpectralNormalization(L.Dense(4, name="in"), name="sn")),
        ["sn/in"],
    ),
    "nested": (_sequence(lambda x: _nested()(x)), ["block/a", "block/b"]),
}
"""What it is -> (makes a model, the paths of the kernels that it has beside `head`)."""

LOST_IN_FILES = {"own layer", "own cell"}
"""Those whose configs leave masks out."""


def data(model, samples=16):
    """Return inputs and targets to train on."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, *model.inputs[0].shape[1:])).astype("float32")
    return x, rng.normal(size=(samples, 3)).astype("float32")


class Unwritten(keras.Model):
    """A subclassed model whose layers take layers and whose classes have no config."""

    class Residual(L.Layer):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, x):
            return x + self.inner(x)

    def __init__(self):
        super().__init__(name="unwritten")
        self.blocks = [self.Residual(L.Dense(6, name=f"dense_{i}")) for i in range(2)]
        self.scale = self.add_weight(name="mix", shape=(6, 6))
        self.head = L.Dense(3, name="head")

    def call(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(ops.matmul(x, self.scale))
