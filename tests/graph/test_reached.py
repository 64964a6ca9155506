"""What is reached from an object."""

import functools

import keras
import numpy as np
import pytest

from tfopt.graph.reached import closed_over, holds_any, holds_state

V = keras.Variable(1.0)


class Holder:
    def __init__(self, value):
        self.value = value

    def method(self):
        return self.value


def _closure(value):
    return lambda: value


def _default(value):
    def function(x=value):
        return x

    return function


WAYS = {
    "itself": lambda value: value,
    "list": lambda value: [[value]],
    "key": lambda value: {"a": (value,)},
    "attribute": Holder,
    "method": lambda value: Holder(value).method,
    "partial": lambda value: functools.partial(print, value),
    "closure": _closure,
    "default": _default,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_variable_is_reached(way):
    assert holds_state(WAYS[way](V))
    assert not holds_state(WAYS[way]("text"))


def test_circles_end():
    one, other = Holder(None), Holder(None)
    one.value, other.value = other, one
    assert not holds_state(one)
    assert holds_any(one, {id(other)})


def test_libraries_are_not_looked_into():
    assert not holds_state(np)
    assert not holds_any(np.ones(2), {id(np)})


def test_a_name_that_is_not_assigned_yet_is_left_out():
    def function():
        return later

    assert closed_over(function) == []
    later = 3
    assert closed_over(function) == [3]
