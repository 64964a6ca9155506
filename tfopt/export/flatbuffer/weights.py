"""The weights of a TFLite file: their values, zeros and different values, read back from its buffers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tfopt.export.flatbuffer.fields import constant, per_tensor, text, type_name
from tfopt.export.flatbuffer.sparse_tensors import decoded, stored_bytes
from tfopt.export.flatbuffer.tensor_names import layer_of
from tfopt.measure.entropy import occurrences, shannon_bytes
from tfopt.measure.sparse_encoding import sparse_bytes

PACKED = {"int4": 4, "int2": 2}
"""Types of which several values share a byte -> the bits of one."""

_STORED = {
    "float16": np.float16,
    "float32": np.float32,
    "float64": np.float64,
    "int8": np.int8,
    "uint8": np.uint8,
}


@dataclass(frozen=True)
class WeightSummary:
    """A constant of two dimensions or more.

    Attributes:
        layer: of the Keras model.
        shape: as TFLite stores it.
        dtype: such as `"int8"`.
        bytes: in the file, with the indices of a sparse encoding.
        size: the number of values.
        zeros: how many of them are zero (equal the zero point).
        clusters: how many different values it has, zero among them; of quantized weights, as integers, which
            may be fewer than the different real values where each channel has a scale of its own.
        sparse_bytes: in TFLite's sparse encoding, or as it is where that is fewer; as it is in a type that
            has none.
        entropy_bytes: its Shannon bound, see `tfopt.measure.entropy_bytes`.
        sparse: whether the file has it in the sparse encoding.
        scales: how many scales it has: 0 where it is not quantized, above 1 where each channel or block has
            its own.
    """

    layer: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    size: int
    zeros: int
    scales: int
    clusters: int
    sparse_bytes: int
    entropy_bytes: int
    sparse: bool = False

    @property
    def sparsity(self) -> float:
        """The share of zeros, in [0, 1]."""
        return self.zeros / self.size

    @property
    def per_channel(self) -> bool:
        """Whether each channel, or each block of one, has a scale of its own."""
        return self.scales > 1


def weights_of(model: Any) -> Iterator[WeightSummary]:
    """Yield the weights of a parsed file, each buffer once, in the order of its tensors."""
    seen = set()
    for graph in model.subgraphs:
        scales_of_blocks = _scales_of_blocks(graph)
        for index, tensor in enumerate(graph.tensors or []):
            data = constant(model, tensor)
            shape = tuple(int(size) for size in (tensor.shape if tensor.shape is not None else ()))
            if data is None or len(shape) < 2 or type_name(tensor) not in (*_STORED, *PACKED):
                continue
            if tensor.buffer in seen or index in scales_of_blocks:
                continue
            seen.add(tensor.buffer)
            values = stored_values(tensor, data)
            counts = occurrences(values)
            # An integer that stands for zero is stored as the zero point.
            _, zero_point = per_tensor(tensor)
            sparse = tensor.sparsity is not None
            stored = len(data) + (stored_bytes(tensor) if sparse else 0)
            packed = type_name(tensor) in PACKED
            yield WeightSummary(
                layer=layer_of(text(tensor.name)),
                shape=shape,
                dtype=type_name(tensor),
                bytes=stored,
                size=values.size,
                zeros=int(np.count_nonzero(values == (zero_point or 0))),
                scales=_scales(graph, tensor),
                clusters=len(counts),
                sparse_bytes=stored if packed else sparse_bytes(values),
                entropy_bytes=shannon_bytes(counts),
                sparse=sparse,
            )


def stored_values(tensor: Any, data: bytes) -> np.ndarray:
    """Return the values of a constant, of its shape: the integers of quantized ones, zeros where encoded so.

    Args:
        tensor: of a parsed file.
        data: that its buffer holds.
    """
    shape = tuple(map(int, tensor.shape))
    bits = PACKED.get(type_name(tensor))
    if bits is not None:
        # The first value is in the lowest bits.
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        packed = np.frombuffer(data, np.uint8)
        unsigned = ((packed[:, None] >> shifts) & (2**bits - 1)).ravel()[: math.prod(shape)].astype(np.int8)
        signed: np.ndarray = np.where(unsigned >= 2 ** (bits - 1), unsigned - 2**bits, unsigned)
        return signed.reshape(shape)
    values = np.frombuffer(data, _STORED[type_name(tensor)])
    return decoded(tensor, values) if tensor.sparsity is not None else np.reshape(values, shape)


def _block_quantization(tensor: Any) -> Any:
    """Return how the blocks of a tensor's weights are scaled, or None where it has no blocks."""
    details = getattr(tensor.quantization, "details", None)
    return details if hasattr(details, "blockSize") else None


def _scales_of_blocks(graph: Any) -> set[int]:
    """Return the numbers of the tensors that hold nothing but the scales of others."""
    blocks = (_block_quantization(tensor) for tensor in graph.tensors or [])
    return {details.scales for details in blocks if details is not None}


def _scales(graph: Any, tensor: Any) -> int:
    details = _block_quantization(tensor)
    if details is not None:
        return math.prod(int(size) for size in graph.tensors[details.scales].shape)
    scales = tensor.quantization.scale if tensor.quantization is not None else None
    return 0 if scales is None else len(scales)
