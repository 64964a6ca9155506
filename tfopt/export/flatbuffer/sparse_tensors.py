"""Tensors in TFLite's sparse encoding: written to and read from a file's tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.measure.sparse_encoding import SparseEncoding

_VECTORS = {
    "int32": (schema.SparseIndexVector.Int32Vector, schema.Int32VectorT),
    "uint16": (schema.SparseIndexVector.Uint16Vector, schema.Uint16VectorT),
    "uint8": (schema.SparseIndexVector.Uint8Vector, schema.Uint8VectorT),
}


def parameters(encoding: SparseEncoding) -> Any:
    """Return the `SparsityParametersT` that says how a tensor is encoded."""
    *rows, last = encoding.shape
    axes = len(encoding.shape)
    result = schema.SparsityParametersT()
    result.traversalOrder = np.arange(axes + (encoding.block > 1), dtype=np.int32)
    result.blockMap = np.array([axes - 1] if encoding.block > 1 else [], np.int32)
    result.dimMetadata = [_dense(size) for size in rows]
    compressed = _dense(last // encoding.block)
    compressed.format = schema.DimensionType.SPARSE_CSR
    compressed.arraySegmentsType, compressed.arraySegments = _vector(encoding.segments)
    compressed.arrayIndicesType, compressed.arrayIndices = _vector(encoding.indices)
    result.dimMetadata.append(compressed)
    if encoding.block > 1:
        result.dimMetadata.append(_dense(encoding.block))
    return result


def decoded(tensor: Any, values: np.ndarray) -> np.ndarray:
    """Return the values of a sparse tensor with their zeros, of its shape.

    Whatever axes a file compresses or blocks, in whatever order: other writers than tfopt compress others.

    Args:
        tensor: with `sparsity`.
        values: that its buffer holds, flat.
    """
    shape = tuple(map(int, tensor.shape))
    block_map = tensor.sparsity.blockMap
    blocked = [int(axis) for axis in (block_map if block_map is not None else [])]
    coordinates = np.zeros((len(shape), 1), np.int64)
    for axis, level in zip(
        map(int, tensor.sparsity.traversalOrder), tensor.sparsity.dimMetadata, strict=True
    ):
        if level.format == schema.DimensionType.SPARSE_CSR:
            ends = np.asarray(level.arraySegments.values, np.int64)
            counts = ends[1:] - ends[:-1]
            inner = np.asarray(level.arrayIndices.values, np.int64)
            coordinates = np.repeat(coordinates, counts, axis=1)
        else:
            inner = np.tile(np.arange(level.denseSize), coordinates.shape[1])
            coordinates = np.repeat(coordinates, level.denseSize, axis=1)
        if axis < len(shape):
            coordinates[axis] = inner
        else:  # inside the blocks of an axis, whose coordinate is that of the block
            number = blocked[axis - len(shape)]
            coordinates[number] = coordinates[number] * level.denseSize + inner
    result = np.zeros(shape, values.dtype)
    result[tuple(coordinates)] = values
    return result


def stored_bytes(tensor: Any) -> int:
    """Return the bytes of a sparse tensor's segments and indices."""
    compressed = [each for each in tensor.sparsity.dimMetadata if each.arrayIndices is not None]
    vectors = (vector.values for each in compressed for vector in (each.arraySegments, each.arrayIndices))
    return sum(np.asarray(vector).nbytes for vector in vectors)


def _dense(size: int) -> Any:
    result = schema.DimensionMetadataT()
    result.format, result.denseSize = schema.DimensionType.DENSE, int(size)
    return result


def _vector(integers: np.ndarray) -> tuple[int, Any]:
    kind, make = _VECTORS[integers.dtype.name]
    vector = make()
    vector.values = integers
    return kind, vector
