"""Rows for each sample."""

import keras
import numpy as np
import pytest

from tfopt.graph import Constant, OverBatch, of_one_batch, valued
from tfopt.graph.layers.over_batch import BatchSize


@pytest.mark.parametrize("rows", [1, 2])
def test_rows_are_repeated_for_each_sample(rows):
    made = OverBatch()([np.arange(rows * 3, dtype="float32").reshape(rows, 3), np.zeros((4, 1))])
    assert made.shape == (4 * rows, 3)
    np.testing.assert_array_equal(made[:rows], made[-rows:])


def test_the_batch_stays_unknown_in_a_graph():
    x = keras.Input((5,))
    assert OverBatch()([keras.ops.zeros((2, 3)), x]).shape == (None, 3)


def test_the_size_of_the_batch_is_a_number():
    assert float(BatchSize(times=2)(np.zeros((3, 4)))) == 6.0
    layer = BatchSize.from_config(BatchSize(times=2).get_config())
    assert layer.times == 2


def test_tensors_of_batch_1_get_the_batch_of_the_others():
    x, one = keras.Input((3,)), keras.Input(batch_shape=(1, 3))
    assert [each.shape for each in of_one_batch([one, x])] == [(None, 3), (None, 3)]
    assert of_one_batch([one, one]) == [one, one]
    assert of_one_batch(x) is x


def test_what_tells_the_batch_alone_is_not_read_for_its_values():
    assert valued(OverBatch(), ["rows", "reference"]) == ["rows"]
    assert valued(Constant((2,)), ["reference"]) == ()
    assert valued(keras.layers.Add(), ["one", "other"]) == ["one", "other"]
