"""Sparse tensors in a file's tables, against a decoder that walks them index by index."""

import types

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st

from tfopt.export.flatbuffer.sparse_tensors import decoded, parameters, stored_bytes
from tfopt.measure.sparse_encoding import BLOCKS, SparseEncoding


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.integers(1, 5), min_size=0, max_size=3),
    last=st.integers(1, 6),
    block=st.sampled_from(BLOCKS),
    share=st.floats(0, 1),
    seed=st.integers(0, 1000),
)
def test_what_is_encoded_is_decoded(rows, last, block, share, seed):
    generator = np.random.default_rng(seed)
    array = generator.integers(-128, 128, (*rows, last * block)).astype(np.int8)
    array *= generator.random(array.shape) < share
    encoding = SparseEncoding.of(array, block)
    tensor = types.SimpleNamespace(shape=array.shape, sparsity=parameters(encoding))
    np.testing.assert_array_equal(decoded(tensor, encoding.values), array)
    assert len(encoding.values) + stored_bytes(tensor) == encoding.bytes


def _level(size=0, segments=None, indices=None):
    level = schema.DimensionMetadataT()
    level.format, level.denseSize = schema.DimensionType.DENSE, size
    if segments is not None:
        level.format = schema.DimensionType.SPARSE_CSR
        level.arraySegments, level.arrayIndices = schema.Int32VectorT(), schema.Int32VectorT()
        level.arraySegments.values, level.arrayIndices.values = segments, indices
    return level


@pytest.mark.parametrize("compressed", [False, True])
def test_axes_in_another_order_and_blocks_of_two_axes(compressed):
    """The example of TFLite's schema: a matrix of 2x2 blocks, columns of blocks first."""
    array = np.array([[1, 0, 2, 3], [0, 4, 5, 6], [0, 0, 7, 8], [0, 0, 9, 1]], np.float32)
    blocks = array.reshape(2, 2, 2, 2).transpose(2, 0, 1, 3)  # block column, block row, row, column
    sparsity = schema.SparsityParametersT()
    sparsity.traversalOrder, sparsity.blockMap = [1, 0, 2, 3], [0, 1]
    inner = _level(segments=[0, 1, 3], indices=[0, 0, 1]) if compressed else _level(2)
    sparsity.dimMetadata = [_level(2), inner, _level(2), _level(2)]
    kept = [blocks[0, 0], blocks[1, 0], blocks[1, 1]] if compressed else list(blocks.reshape(4, 2, 2))
    tensor = types.SimpleNamespace(shape=array.shape, sparsity=sparsity)
    np.testing.assert_array_equal(decoded(tensor, np.ravel(kept)), array)
