"""What a unit is, for every kind of weight."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.clipping import adaptive


@pytest.mark.parametrize("shape", [(5, 3), (3, 3, 2, 4)])
def test_clips_columns_by_themselves(shape):
    gradient = np.zeros(shape, "float32")
    gradient[..., 0], gradient[..., 1] = 9.0, 1e-4
    (clipped,) = adaptive([tf.constant(gradient)], [tf.ones(shape)], 0.1)
    units = np.linalg.norm(np.reshape(clipped, (-1, shape[-1])), axis=0)
    weights = np.sqrt(np.prod(shape[:-1]))
    np.testing.assert_allclose(units[0], 0.1 * weights, rtol=1e-6)
    np.testing.assert_array_equal(clipped[..., 1], gradient[..., 1])


def test_bias_is_one_unit_and_can_leave_zero():
    (clipped,) = adaptive([tf.constant([3.0, 4.0])], [tf.zeros(2)], 0.1)
    np.testing.assert_allclose(clipped, [0.6e-4, 0.8e-4], rtol=1e-6)


def test_scalar():
    (clipped,) = adaptive([tf.constant(3.0)], [tf.constant(2.0)], 0.1)
    np.testing.assert_allclose(clipped, 0.2, rtol=1e-6)
