"""Sparse gradients."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.clipping import sum_duplicates


@pytest.mark.parametrize("jit_compile", [False, True])
def test_sums_duplicate_rows(jit_compile):
    def summed(values, rows):
        gradient = sum_duplicates(tf.IndexedSlices(values, rows, tf.constant([5, 2])))
        return tf.norm(gradient.values), tf.convert_to_tensor(gradient)

    values, rows = tf.constant([[3.0, 0.0], [1.0, 1.0], [1.0, 0.0]]), tf.constant([4, 1, 4])
    norm, dense = tf.function(summed, jit_compile=jit_compile)(values, rows)
    np.testing.assert_allclose(norm, np.sqrt(18), rtol=1e-6)
    np.testing.assert_array_equal(dense, [[0, 0], [1, 1], [0, 0], [0, 0], [4, 0]])


def test_dense_stays():
    gradient = tf.ones((2, 2))
    assert sum_duplicates(gradient) is gradient
