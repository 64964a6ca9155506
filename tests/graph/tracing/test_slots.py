"""The places in a layer that hold variables."""

import collections

import keras
import numpy as np
import pytest

from tfopt.graph.tracing.slots import slots_of

Pair = collections.namedtuple("Pair", ["one", "other"])


class Holds(keras.layers.Layer):
    """Holds one variable in the way it is told."""

    def __init__(self, hold):
        super().__init__()
        self.variable = keras.Variable(np.ones(2), name="held")
        hold(self, self.variable)


def _attribute(layer, variable):
    layer.again = variable


def _list(layer, variable):
    layer.listed = [variable]


def _dictionary(layer, variable):
    layer.table = {"key": {"deep": variable}}


def _tuple(layer, variable):
    layer.pair = Pair(variable, 3)


def _closure(layer, variable):
    layer.function = lambda x: x * variable


READ = {
    _attribute: ("again", lambda layer: layer.again),
    _list: ("listed_0", lambda layer: layer.listed[0]),
    _dictionary: ("table_key_deep", lambda layer: layer.table["key"]["deep"]),
    _tuple: ("pair_0", lambda layer: layer.pair.one),
    _closure: ("function_variable", lambda layer: layer.function.__closure__[0].cell_contents),
}


@pytest.mark.parametrize("hold", READ, ids=lambda hold: hold.__name__.strip("_"))
def test_a_variable_is_found_replaced_and_put_back(hold):
    name, read = READ[hold]
    layer = Holds(hold)
    slots = {slot.name: slot for slot in slots_of(layer, "", set())}
    assert {*slots} == {"variable", name}
    slots[name].set("symbol")
    assert read(layer) == "symbol"
    slots[name].set(layer.variable)
    assert read(layer) is layer.variable


def test_the_lists_in_which_keras_keeps_variables_are_no_places():
    layer = keras.layers.Dense(2)
    layer.build((None, 3))
    assert [slot.name for slot in slots_of(layer, "dense_", set())] == ["dense_kernel", "dense_bias"]


def test_a_function_that_others_may_call_is_copied_and_given_back():
    layer = Holds(_closure)
    function = layer.function
    (slot,) = [each for each in slots_of(layer, "", set()) if each.name == "function_variable"]
    slot.set(3.0)
    assert layer.function is not function
    assert layer.function(2.0) == 6.0
    assert function.__closure__[0].cell_contents is layer.variable
    slot.set(layer.variable)
    assert layer.function is function
