"""Writing a TFLite file in which equal scales are stored once.

A flatbuffer may refer to one vector from many places. The converter writes the scales and zero points of
each tensor anew: twelve bytes a channel for the weights and twelve for the bias, of which the zero points,
eight, are all zeros. Sharing them makes the file of a small convolutional network a tenth smaller and changes
nothing that is computed.
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"
"""Bytes 4 to 8 of every TFLite file."""

_FIRST_SIZE = 1 << 16


def serialize(model: Any) -> bytes:
    """Return a `ModelT` as the content of a file."""
    shared: dict[tuple[Any, ...], int] = {}
    tensors = [tensor for graph in model.subgraphs for tensor in graph.tensors]
    originals = [tensor.quantization for tensor in tensors]
    builder = flatbuffers.Builder(_FIRST_SIZE)
    try:
        for tensor in tensors:
            if tensor.quantization is not None:
                tensor.quantization = _SharedQuantization(tensor.quantization, shared)
        builder.Finish(model.Pack(builder), IDENTIFIER)
    finally:
        for tensor, original in zip(tensors, originals, strict=True):
            tensor.quantization = original
    return bytes(builder.Output())


class _SharedQuantization:
    """Stands in for a `QuantizationParametersT` and refers to what an equal one wrote before.

    Args:
        original: what to write.
        shared: content -> offset of what is in the file already.
    """

    def __init__(self, original: Any, shared: dict[tuple[Any, ...], int]) -> None:
        self._original = original
        self._shared = shared

    def Pack(self, builder: flatbuffers.Builder) -> int:
        """Write the parameters, or nothing, and return their offset."""
        original = self._original
        if original.details is not None:  # block-wise scales: tables of their own
            return int(original.Pack(builder))
        vectors = {
            "Min": self._vector(builder, original.min, "<f4"),
            "Max": self._vector(builder, original.max, "<f4"),
            "Scale": self._vector(builder, original.scale, "<f4"),
            "ZeroPoint": self._vector(builder, original.zeroPoint, "<i8"),
        }
        key = (*vectors.values(), original.quantizedDimension)
        if key not in self._shared:
            schema.QuantizationParametersStart(builder)
            for name, offset in vectors.items():
                if offset is not None:
                    getattr(schema, f"QuantizationParametersAdd{name}")(builder, offset)
            schema.QuantizationParametersAddQuantizedDimension(builder, original.quantizedDimension)
            self._shared[key] = schema.QuantizationParametersEnd(builder)
        return self._shared[key]

    def _vector(self, builder: flatbuffers.Builder, values: Any, dtype: str) -> int | None:
        if values is None:
            return None
        array = np.asarray(values, dtype)
        key = (dtype, array.tobytes())
        if key not in self._shared:
            self._shared[key] = builder.CreateNumpyVector(array)
        return self._shared[key]
