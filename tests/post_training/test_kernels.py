"""The grid that a file rounds a kernel to."""

import keras
import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.post_training.kernels import bits_by_name, kernels_of, nearest, norm_factors, norm_offset, scales

KERNEL = np.array([[1.0, -4.0], [-2.0, 3.0]], np.float32)
ONES = np.ones(2, np.float32)


def test_each_channel_has_the_scale_of_its_largest_weight():
    found = scales(KERNEL, (-1,), 8, ONES, per_channel=True)
    np.testing.assert_allclose(found, np.array([[2.0, 4.0]]) / 127, rtol=1e-6)
    assert np.all(scales(KERNEL * 0, (-1,), 8, ONES, per_channel=True) > 0)


def test_one_scale_is_that_after_the_batch_normalization():
    factors = np.array([10.0, 1.0], np.float32)
    found = scales(KERNEL, (-1,), 4, factors, per_channel=False)
    np.testing.assert_allclose(found * factors, np.full((1, 2), 20.0 / 7), rtol=1e-6)


def test_weights_move_to_the_nearest_value():
    scale = np.array([[0.5, 1.0]], np.float32)
    assert nearest(np.array([[0.7, 0.7]], np.float32), scale).tolist() == [[0.5, 1.0]]


def test_bits_are_told_by_path_and_found_by_name():
    assert bits_by_name({"block/conv": 4}, ["block.conv", "head"]) == {"block.conv": 4, "head": None}
    assert bits_by_name(8, ["head"]) == {"head": 8}
    with pytest.raises(InvalidArgumentError):
        bits_by_name(5, ["head"])


def test_a_batch_normalization_is_a_factor_and_an_offset():
    norm = keras.layers.BatchNormalization(epsilon=0.0)
    norm.build((None, 2))
    norm.set_weights([np.array(each, "float32") for each in ([2, 3], [1, 0], [4, 5], [4, 9])])
    assert norm_factors(norm).tolist() == [1, 1]
    assert norm_offset(norm).tolist() == [-3, -5]
    x = np.array([[1.0, 2.0]], "float32")
    np.testing.assert_allclose(norm(x), x * norm_factors(norm) + norm_offset(norm), rtol=1e-6)


def test_what_may_compute_otherwise_has_no_kernels():
    class Dense(keras.layers.Dense):
        pass

    assert kernels_of(Dense(2)) == ()
    assert kernels_of(keras.layers.Conv2D(2, 1, data_format="channels_first")) == ()
    assert [kernel.name for kernel in kernels_of(keras.layers.Dense(2))] == ["kernel"]
