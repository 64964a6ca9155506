"""Matrices on each axis of a tensor, against NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.optimizers._core.kronecker import covariance, merge_axes, transform, transform_back

RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(2, 3, 4)).astype("float32")


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_covariance_is_of_the_slices_along_an_axis(axis):
    slices = np.moveaxis(X, axis, 0).reshape(X.shape[axis], -1)
    np.testing.assert_allclose(covariance(tf.constant(X), axis), slices @ slices.T, rtol=1e-5)


def test_each_axis_is_multiplied_by_its_matrix_vector_or_nothing():
    matrix, diagonal = RANDOM.normal(size=(2, 5)).astype("float32"), RANDOM.normal(size=4).astype("float32")
    found = transform(tf.constant(X), [tf.constant(matrix), None, tf.constant(diagonal)])
    np.testing.assert_allclose(found, np.einsum("abc,ad,c->dbc", X, matrix, diagonal), rtol=1e-5)


def test_orthogonal_matrices_are_undone():
    bases = [np.linalg.qr(RANDOM.normal(size=(size, size)))[0].astype("float32") for size in X.shape]
    bases = [tf.constant(bases[0]), None, tf.constant(bases[2])]
    np.testing.assert_allclose(transform_back(transform(tf.constant(X), bases), bases), X, atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "largest", "merged"),
    [
        ((3, 3, 16, 32), 144, (144, 32)),
        ((3, 3, 16, 32), 100, (9, 16, 32)),
        ((3, 3, 16, 32), 10_000, (4608,)),
        ((200, 2), 100, (200, 2)),
        ((1, 1, 1), 100, (1,)),
        ((5,), 2, (5,)),
    ],
)
def test_neighbouring_axes_are_merged_up_to_a_size(shape, largest, merged):
    assert merge_axes(shape, largest) == merged
