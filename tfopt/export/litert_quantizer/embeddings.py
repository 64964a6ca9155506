"""The tables of embeddings in integers, which litert-quantizer leaves in float.

An Embedding is a GATHER from a constant in a file, and litert-quantizer has no rule for one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tfopt.export.flatbuffer.edit import drop_unused_buffers
from tfopt.export.flatbuffer.fields import constant, text, type_name
from tfopt.export.flatbuffer.file import Call, ParsedFile
from tfopt.export.flatbuffer.integer_constants import Integers, store
from tfopt.export.flatbuffer.tensor_names import LAYER_END
from tfopt.export.schemes import FILE_SCHEMES

_SMALLEST_SCALE = 1e-9


def quantize_embeddings(
    file: ParsedFile, settings: Mapping[str, str], default: str, *, per_channel: bool
) -> bool:
    """Quantize the float tables that a file gathers rows from, with one scale a row.

    Args:
        file: what litert-quantizer wrote.
        settings: layer path -> name of its scheme. Only the tables of layers whose activations stay in float
            change.
        default: the scheme of what belongs to no layer.
        per_channel: whether each row has a scale of its own, or the table one.
    """
    changed = False
    for call in file.calls():
        table = _table(file, call)
        bits = None if table is None else _bits(call, settings, default)
        if table is not None and bits is not None:
            integers = _integers(table, bits, per_channel)
            store(file.model, call.graph, call.operator, int(call.operator.inputs[0]), integers)
            changed = True
    if changed:
        drop_unused_buffers(file.model)
    return changed


def _table(file: ParsedFile, call: Call) -> np.ndarray | None:
    """Return the constant that an operator gathers rows from, if it is one in float."""
    if call.name != "GATHER":
        return None
    tensor = call.graph.tensors[call.operator.inputs[0]]
    data = constant(file.model, tensor)
    if data is None or type_name(tensor) != "float32" or len(tensor.shape) != 2:
        return None
    return np.frombuffer(data, np.float32).reshape(tensor.shape)


def _bits(call: Call, settings: Mapping[str, str], default: str) -> int | None:
    """Return the bits of a table's scheme; None where it stays in float."""
    tensors = (*call.operator.outputs, call.operator.inputs[0])
    names = ";".join(text(call.graph.tensors[index].name) for index in tensors)
    layers = [name.split(LAYER_END)[0] for name in names.split(";") if LAYER_END in name]
    scheme = FILE_SCHEMES[next((settings[layer] for layer in layers if layer in settings), default)]
    return None if scheme.integer else scheme.weight_bits


def _integers(table: np.ndarray, bits: int, per_channel: bool) -> Integers:
    last = 2 ** (bits - 1) - 1
    largest = np.max(np.abs(table), axis=1 if per_channel else None)
    scales = np.maximum(np.broadcast_to(largest, len(table)) / last, _SMALLEST_SCALE).astype(np.float64)
    values = np.rint(table.T / scales).astype(np.int8)
    return Integers(values=values, scales=scales, bits=bits, axis=0, channels_last=False)
