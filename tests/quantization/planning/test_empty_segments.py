"""Which operations may replace the value of a segment without rows, or lead to one that does."""

import keras
import numpy as np
import pytest
from keras import ops

from tfopt.graph import nodes
from tfopt.quantization.operators.traits import Kind, kind
from tfopt.quantization.planning.empty_segments import replacing_empty_segments

IDS = np.array([0, 0, 2, 3], "int32")
ALL_IDS = np.array([0, 1, 2, 2], "int32")


def _found(function, ids=IDS, segments=4):
    x = keras.Input(batch_shape=(4, 3))
    model = keras.Model(x, function(ops.segment_max(x, ids, num_segments=segments)))
    graph = nodes(model)
    kinds = {id(node.operation): kind(node.operation) or Kind.FLOAT for node in graph}
    found = replacing_empty_segments(model, kinds)
    return [type(node.operation).__name__ for node in graph if id(node.operation) in found]


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda y: ops.maximum(y, -3.0), ["Maximum"]),
        (lambda y: ops.tanh(y), ["Tanh"]),
        (lambda y: ops.relu(y), ["Relu"]),
        (lambda y: ops.relu(ops.reshape(y, (12,))), ["Reshape", "Relu"]),
        (lambda y: ops.where(ops.abs(y) < 1e30, y, 0.0), ["Absolute", "Where"]),
        (lambda y: ops.exp(y), []),
        (lambda y: ops.relu(ops.exp(y)), []),
    ],
)
def test_up_to_what_replaces_the_value(function, names):
    assert _found(function) == names


def test_where_every_segment_has_rows_nothing_is_replaced():
    assert _found(ops.relu, ALL_IDS, 3) == []
