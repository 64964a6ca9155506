"""Calls as a list that can be run, copied and saved."""

import json

import keras
import numpy as np
import pytest
from keras import layers, ops

from tfopt.graph import Program
from tfopt.graph.layers.program import operations_of

X = np.random.default_rng(0).normal(size=(2, 3)).astype("float32")


@pytest.fixture
def program():
    dense = layers.Dense(3, name="dense")
    x, y = keras.Input((3,)), keras.Input((3,))
    total = dense(x) + y
    return Program.of([x, y], [dense(total), total])


def test_it_computes_what_the_graph_computes(program):
    dense = program.calls[0].operation
    outputs = program([X, 2 * X])
    total = dense(X) + 2 * X
    np.testing.assert_allclose(outputs[1], total, rtol=1e-6)
    np.testing.assert_allclose(outputs[0], dense(total), rtol=1e-6)


def test_operations_come_once(program):
    assert [type(each).__name__ for each in operations_of(program, program, None)] == ["Dense", "Add"]


def test_it_is_data_and_back(program):
    operations = operations_of(program)
    config = json.loads(json.dumps(program.get_config(operations)))
    back = Program.from_config(config, operations)
    for one, other in zip(program([X, X]), back([X, X]), strict=True):
        np.testing.assert_array_equal(one, other)


def test_arguments_with_slices_and_lists_come_back():
    x = keras.Input((4, 3))
    program = Program.of([x], [ops.concatenate([x[:, 1:], x[:, :1]], axis=1)])
    operations = operations_of(program)
    back = Program.from_config(program.get_config(operations), operations)
    data = np.arange(12, dtype="float32").reshape(1, 4, 3)
    np.testing.assert_array_equal(back([data])[0], np.roll(data, -1, axis=1))


def test_its_calls_are_nodes_below_a_path(program):
    assert next(iter(program.nodes("loop/"))).path == "loop/dense"
    assert len(program.nodes()) == 3
