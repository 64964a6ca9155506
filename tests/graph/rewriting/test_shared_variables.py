"""A variable of several layers stays one."""

import keras
import numpy as np
import pytest

from tfopt import graph
from tfopt.graph import Constant


def _dense(units=2, name="dense"):
    layer = keras.layers.Dense(units, name=name)
    layer.build((None, 3))
    return layer


def test_variables_of_the_same_shape_are_taken_themselves():
    source, layer = _dense(), _dense()
    graph.take_weights(layer, source.weights)
    assert layer.kernel is source.kernel
    assert layer.weights[0] is source.kernel
    source.kernel.assign(np.ones((3, 2)))
    assert layer(np.ones((1, 3))).numpy().tolist() == [[3, 3]]


def test_of_other_arrays_the_values_are_taken():
    layer = _dense()
    graph.take_weights(layer, [np.ones((3, 2)), np.zeros(2)])
    assert layer.kernel.numpy().tolist() == np.ones((3, 2)).tolist()
    graph.take_weights(layer, [])
    assert layer.kernel.numpy().tolist() == np.ones((3, 2)).tolist()


def test_a_constant_notes_whose_variable_it_has():
    dense = _dense()
    held = Constant.holding(dense.kernel, "again")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, [dense(inputs), held(inputs)])
    graph.tie_shared_variables(model)
    assert held.tied_to.layer is dense
    assert held.tied_to.attribute == "_kernel"


def test_two_layers_that_cannot_note_it_are_warned_of():
    one, other = _dense(name="one"), _dense(name="other")
    graph.take_weights(other, [one.kernel, np.zeros(2)])
    inputs = keras.Input((3,))
    with pytest.warns(UserWarning, match="The layers 'one' and 'other' share a variable"):
        graph.tie_shared_variables(keras.Model(inputs, [one(inputs), other(inputs)]))


def test_code_that_reads_a_variable_of_a_rewritten_layer_is_warned_of():
    dense = _dense()
    held = Constant.holding(dense.kernel, "in_code")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, held(inputs))
    with pytest.warns(UserWarning, match=r"Code reads 'kernel' of 'dense'"):
        graph.warn_of_split(model, [dense])
