"""The tables of embeddings in integers, which litert-quantizer leaves in float.

An Embedding is a GATHER from a constant in a file, and litert-quantizer has no rule for one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfopt.export.flatbuffer import parse, serialize
from tfopt.export.flatbuffer.integer_constants import Integers, constant, drop_unused_buffers, store
from tfopt.export.flatbuffer.parse import operator_name, text, type_name
from tfopt.export.flatbuffer.tensor_names import LAYER_END
from tfopt.export.schemes import SCHEMES

_SMALLEST_SCALE = 1e-9


def with_integer_tables(
    content: bytes, settings: Mapping[str, str], default: str, *, per_channel: bool
) -> bytes:
    """Return the file with the float tables that it gathers rows from in integers, one scale a row.

    Args:
        content: what litert-quantizer wrote.
        settings: layer path -> name of its scheme. Only the tables of layers whose activations stay in float
            change.
        default: the scheme of what belongs to no layer.
        per_channel: whether each row has a scale of its own, or the table one.
    """
    model = parse.read(content, "What litert-quantizer wrote")
    changed = False
    for graph in model.subgraphs:
        for operator in list(graph.operators or []):
            table = _table(model, graph, operator)
            bits = None if table is None else _bits(graph, operator, settings, default)
            if table is not None and bits is not None:
                store(model, graph, operator, int(operator.inputs[0]), _integers(table, bits, per_channel))
                changed = True
    if not changed:
        return content
    drop_unused_buffers(model)
    return serialize.write(model)


def _table(model: Any, graph: Any, operator: Any) -> np.ndarray | None:
    """Return the constant that an operator gathers rows from, if it is one in float."""
    if operator_name(model, operator) != "GATHER":
        return None
    tensor = graph.tensors[operator.inputs[0]]
    data = constant(model, tensor)
    if data is None or type_name(tensor) != "float32" or len(tensor.shape) != 2:
        return None
    return np.frombuffer(data, np.float32).reshape(tensor.shape)


def _bits(graph: Any, operator: Any, settings: Mapping[str, str], default: str) -> int | None:
    names = ";".join(text(graph.tensors[index].name) for index in (*operator.outputs, operator.inputs[0]))
    layers = [name.split(LAYER_END)[0] for name in names.split(";") if LAYER_END in name]
    scheme = SCHEMES[next((settings[layer] for layer in layers if layer in settings), default)]
    return None if scheme.integer else scheme.weight_bits


def _integers(table: np.ndarray, bits: int, per_channel: bool) -> Integers:
    last = 2 ** (bits - 1) - 1
    largest = np.max(np.abs(table), axis=1 if per_channel else None)
    scales = np.maximum(np.broadcast_to(largest, len(table)) / last, _SMALLEST_SCALE).astype(np.float64)
    values = np.rint(table.T / scales).astype(np.int8)
    return Integers(values=values, scales=scales, bits=bits, axis=0, channels_last=False)
