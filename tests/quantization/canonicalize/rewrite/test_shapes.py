"""Shapes, casts and constants of a shape, without the size of the batch."""

import numpy as np
import pytest
from keras import ops


@pytest.mark.parametrize(
    ("function", "shape", "becomes"),
    [
        (lambda x: ops.reshape(x, (-1, 6)), (2, 3), ["Reshape"]),
        (lambda x: ops.reshape(x, (-1, 3, 2)), (2, 3), ["Reshape"]),
        (lambda x: ops.squeeze(x), (1, 3, 1), ["Squeeze"]),
        (lambda x: ops.cast(x, "float32"), (2, 3), []),
        (lambda x: ops.copy(x), (2, 3), []),
        (lambda x: ops.nan_to_num(x), (2, 3), []),
        (lambda x: x + ops.zeros_like(x), (2, 3), ["Constant", "OverBatch", "Add"]),
        (lambda x: x * ops.ones_like(x), (2, 3), ["Constant", "OverBatch", "Multiply"]),
        (lambda x: ops.take(np.eye(4, dtype="float32"), ops.argmax(x, -1), axis=0), (2, 3), None),
    ],
)
def test_the_rewrite_computes_the_same(canonicalized, function, shape, becomes):
    found = canonicalized(function, shape)
    assert becomes is None or found == becomes


def test_a_table_that_is_looked_up_is_a_constant(canonicalized):
    table = np.eye(4, dtype="float32")
    tokens = np.array([[0, 3], [1, 2]], "int32")
    assert canonicalized(lambda x: ops.take(table, x, axis=0), samples=[tokens]) == ["Constant", "Take"]
