import numpy as np
import pytest

from tfopt import measure
from tfopt.measure.sparse_encoding import SparseEncoding


def test_an_encoding_has_the_values_the_rows_and_the_positions():
    encoding = SparseEncoding.of(np.array([[0, 0, 7, 0], [0, 0, 0, 0], [1, 0, 0, 2]], np.int8))
    assert encoding.values.tolist() == [7, 1, 2]
    assert encoding.segments.tolist() == [0, 1, 1, 3]
    assert encoding.indices.tolist() == [2, 0, 3]
    assert encoding.bytes == 3 + 4 + 3


def test_blocks_share_an_index():
    array = np.zeros((2, 32), np.float32)
    array[0, 16:] = array[1, :16] = 1.0
    encoding = SparseEncoding.smallest(array)
    assert (encoding.block, encoding.indices.tolist()) == (16, [1, 0])
    assert encoding.bytes == 2 * 16 * 4 + 3 + 2
    array[0, 0] = 1.0  # one value alone would cost a block
    assert SparseEncoding.smallest(array).block == 4


def test_a_negative_zero_is_a_zero_and_nan_a_value():
    encoding = SparseEncoding.of(np.array([[0.0, -0.0, 1.0, np.nan]], np.float32))
    assert encoding.indices.tolist() == [2, 3]


@pytest.mark.parametrize(("size", "dtype"), [(200, "uint8"), (300, "uint16"), (70_000, "int32")])
def test_positions_have_the_smallest_type_that_holds_them(size, dtype):
    array = np.zeros((1, size), np.int8)
    array[0, -1] = 1
    encoding = SparseEncoding.of(array)
    assert encoding.indices.dtype == dtype
    assert encoding.segments.dtype == "uint8"


def test_what_is_not_sparse_takes_what_it_takes():
    dense = np.ones((8, 8), np.float32)
    assert measure.sparse_bytes(dense) == dense.nbytes
    dense[:4, :4] = 0
    assert measure.sparse_bytes(dense) == 48 * 4 + 12 + 9  # in blocks of four
    assert measure.sparse_bytes(np.zeros((0, 4), np.int8)) == 0
    assert measure.sparse_bytes(np.zeros((64, 64), np.int8)) == 65  # the rows' ends
