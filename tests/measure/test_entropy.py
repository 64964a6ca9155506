import numpy as np
import pytest

from tfopt import measure


def test_the_bound_of_values_that_are_equally_frequent_is_the_bits_that_number_them():
    for dtype in (np.int8, np.int16, np.float16, np.float32, np.float64):
        array = np.tile(np.arange(16, dtype=dtype), 100).reshape(40, 40)
        assert measure.entropy_bytes(array) == 1600 * 4 / 8
        assert measure.distinct_values(array) == 16


def test_one_value_takes_nothing_and_zeros_little():
    assert measure.entropy_bytes(np.full((10, 10), 3.5, np.float32)) == 0
    array = np.zeros(1000, np.int8)
    array[:200] = np.arange(200) % 2 + 1
    entropy = -(0.8 * np.log2(0.8) + 2 * 0.1 * np.log2(0.1))
    assert measure.entropy_bytes(array) == np.ceil(1000 * entropy / 8)
    assert measure.distinct_values(array) == 3


def test_negative_integers_are_values_too():
    array = np.array([-128, -1, 0, 127], np.int8)
    assert measure.distinct_values(array) == 4
    assert measure.entropy_bytes(array) == 1


@pytest.mark.parametrize("shape", [(0,), (0, 4)])
def test_an_empty_array_takes_nothing(shape):
    assert measure.entropy_bytes(np.zeros(shape, np.float32)) == 0
    assert measure.distinct_values(np.zeros(shape, np.float32)) == 0
