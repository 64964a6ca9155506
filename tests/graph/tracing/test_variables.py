"""What the code of a layer reads and calls while it is traced."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from tfopt.graph import Constant
from tfopt.graph.tracing.variables import Constants, freeze, symbolic


class Inner(layers.Layer):
    def call(self, x, scale=None):
        return x if scale is None else x * scale


class Outer(layers.Layer):
    def __init__(self):
        super().__init__()
        self.dense, self.inner = layers.Dense(3, name="dense"), Inner(name="inner")
        self.table = layers.Embedding(4, 3, name="table")

    def build(self, shape):
        self.scale = self.add_weight(name="scale", shape=(3,), initializer="ones")
        self.dense.build(shape)
        self.table.build(None)


@pytest.fixture
def outer():
    layer = Outer()
    layer.build((None, 3))
    return layer


def _no_code(*_):
    raise AssertionError("No code runs in place here.")


def _made_by(tensor):
    return type(tensor._keras_history.operation).__name__


def test_variables_are_symbols_inside_and_variables_again_outside(outer):
    x, scale, constants = keras.Input((3,)), outer.scale, Constants()
    with symbolic(outer, x, constants, _no_code):
        assert isinstance(outer.scale, keras.KerasTensor)
        assert _made_by(outer.scale) == "Constant"
        assert isinstance(outer.dense.kernel, keras.KerasTensor)
    assert outer.scale is scale
    assert outer.dense.kernel in outer.dense.trainable_variables
    assert {layer.name for layer in constants} == {"scale", "dense_kernel", "dense_bias", "table_embeddings"}


def test_they_are_variables_again_where_code_fails(outer):
    scale = outer.scale
    with pytest.raises(KeyError), symbolic(outer, keras.Input((3,)), Constants(), _no_code):
        raise KeyError
    assert outer.scale is scale
    assert type(outer.dense).__name__ == "Dense"
    assert "__call__" not in vars(type(outer.dense)) or type(outer.dense) is layers.Dense


def test_a_layer_of_keras_is_called_with_its_variables(outer):
    x = keras.Input((3,))
    with symbolic(outer, x, Constants(), _no_code):
        assert _made_by(outer.dense(x)) == "Dense"


def test_a_layer_that_is_called_on_numbers_stays_trainable(outer):
    x = keras.Input((3,))
    with symbolic(outer, x, Constants(), _no_code):
        positions = outer.table(ops.arange(4))
    assert isinstance(positions, keras.KerasTensor)
    assert _made_by(positions) == "Embedding"


def test_code_that_keras_cannot_call_runs_in_place(outer):
    x, seen = keras.Input((3,)), []

    def in_place(layer, args, kwargs):
        seen.append((layer.name, kwargs))
        return layer.call(*args, **kwargs)

    def fails(*args, **kwargs):
        raise TypeError("It takes no such argument.")

    outer.inner.compute_output_spec = fails
    with symbolic(outer, x, Constants(), in_place):
        outputs = outer.inner(x, scale=outer.scale)
    assert [name for name, _ in seen] == ["inner"]
    assert _made_by(outputs) == "Multiply"


def test_one_constant_stands_for_a_variable_however_often_it_is_read():
    constants, variable = Constants(), keras.Variable([1.0], name="v")
    made = constants(variable, "first")
    assert constants(variable, "second") is made
    assert made.value is variable
    assert made in constants
    assert Constant.of(np.ones(1), "other") not in constants


def test_what_is_called_as_at_inference_stays_so():
    model = keras.Sequential([keras.Input((3,)), layers.BatchNormalization(), layers.Dropout(0.5)])
    freeze(model)
    normalization, dropout = model.layers
    assert not normalization.trainable
    assert dropout.rate == 0.0
