"""All samples of a full-batch objective, in one batch or in several."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.errors import DataError, InvalidArgumentError
from tfopt.trainers.batches import batches, count

X, Y = np.arange(14.0).reshape(7, 2), np.arange(7)


def rows(found):
    return [len(batch[0]) for batch in found]


def test_arrays_are_one_batch_or_as_many_as_needed():
    whole = batches((X, Y), None, "float32", aligned=True)
    assert whole.single
    assert rows(whole) == [7]
    parts = batches((X, Y), 3, "float32", aligned=True)
    assert not parts.single
    assert rows(parts) == rows(parts) == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([batch[0] for batch in parts]), X)


def test_floats_are_cast_and_whole_numbers_are_not():
    (batch,) = batches((X, Y), None, "float32", aligned=True)
    assert [part.dtype for part in batch] == ["float32", "int64"]


def test_a_sample_is_a_batch_of_one():
    sample = batches((X, Y), 3, "float32", aligned=True).sample()
    assert [part.shape for part in sample] == [(1, 2), (1,)]
    assert count(sample) == 1


def test_a_pipeline_keeps_its_batches():
    found = batches(tf.data.Dataset.from_tensor_slices((X, Y)).batch(4), None, "float32", aligned=True)
    assert rows(found) == [4, 3]


def test_no_data_is_one_empty_batch():
    assert list(batches(None, None, "float32", aligned=False)) == [()]


ENDLESS = tf.data.Dataset.from_tensors(X).repeat()


@pytest.mark.parametrize(
    ("data", "batch_size", "error", "message"),
    [
        ((X, Y[:3]), None, DataError, "as many samples in each array, got 3 and 7"),
        ((X[:0], Y[:0]), None, DataError, "empty"),
        (np.array(["a"]), None, DataError, "not an array of numbers"),
        ((X, Y, Y, Y), None, DataError, "a tuple of 4 parts"),
        (ENDLESS, None, DataError, "never ends"),
        (ENDLESS.take(0), None, DataError, "is empty"),
        (ENDLESS.take(2), 3, InvalidArgumentError, r"dataset.batch\(3\)"),
        (X, 0, InvalidArgumentError, "batch_size to be a positive integer or None, got 0"),
    ],
)
def test_what_cannot_be_used_is_named(data, batch_size, error, message):
    with pytest.raises(error, match=message):
        batches(data, batch_size, "float32", aligned=True)
