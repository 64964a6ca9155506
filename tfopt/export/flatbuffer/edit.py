"""Small edits of a parsed file: its table of operators and its buffers."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils


def operator_code(model: Any, name: str, version: int = 1) -> int:
    """Return the number of an operator's code, which is added where there is none.

    Args:
        model: of the file.
        name: of the operator in TFLite's schema.
        version: the least that has what it is used for.
    """
    builtin = getattr(schema.BuiltinOperator, name)
    for number, code in enumerate(model.operatorCodes):
        if flatbuffer_utils.get_builtin_code_from_operator_code(code) == builtin:
            code.version = max(code.version, version)
            return number
    code = schema.OperatorCodeT()
    code.builtinCode, code.version = builtin, version
    code.deprecatedBuiltinCode = min(builtin, schema.BuiltinOperator.PLACEHOLDER_FOR_GREATER_OP_CODES)
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def add_buffer(model: Any, values: np.ndarray) -> int:
    """Append a buffer that holds the bytes of an array and return its number."""
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(values.tobytes(), np.uint8)
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def drop_unused_buffers(model: Any) -> None:
    """Empty the buffers that no tensor and no metadata reads; the others keep their numbers."""
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or []}
    for number, buffer in enumerate(model.buffers):
        if number not in used:
            buffer.data = None


def empty_buffers(model: Any) -> frozenset[int]:
    """Return the numbers of the buffers without data; the first always is one."""
    return frozenset(number for number, buffer in enumerate(model.buffers) if buffer.data is None)


def remove_empty_buffers(model: Any, numbers: Collection[int]) -> None:
    """Remove buffers that are empty; what refers to one of them then refers to the first.

    Args:
        model: to change.
        numbers: of the buffers.
    """
    kept = [0, *(number for number in range(1, len(model.buffers)) if number not in numbers)]
    new = {old: number for number, old in enumerate(kept)}
    tensors = (tensor for graph in model.subgraphs for tensor in graph.tensors)
    for each in (*tensors, *(model.metadata or [])):
        each.buffer = new.get(each.buffer, 0)
    model.buffers = [model.buffers[number] for number in kept]
