"""A file of one operator, cut out of a larger one, with tensors of other sizes."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.fields import constant, type_name
from tfopt.export.flatbuffer.file import Call
from tfopt.export.flatbuffer.write import serialize

_BITS = {"int4": 4, "int2": 2}
_INDICES = {"int32": np.int32, "int64": np.int64}


def single_operator(model: Any, call: Call, shapes: Sequence[tuple[int, ...]]) -> bytes:
    """Return a file of one operator alone.

    Args:
        model: of the file that it stands in.
        call: the operator.
        shapes: of its tensors, inputs first, none larger than in the file. Constants are cut to them, and
            those that are shapes of other tensors are written anew.
    """
    numbers = [*map(int, call.operator.inputs), *map(int, call.operator.outputs)]
    made = schema.ModelT()
    made.version = model.version
    made.operatorCodes = [model.operatorCodes[call.operator.opcodeIndex]]
    made.buffers = [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = []
    old_shapes = [tuple(map(int, _shape(call.graph.tensors[n]))) if n >= 0 else () for n in numbers]
    new_shapes = dict(zip(old_shapes, shapes, strict=True))
    places: dict[int, int] = {-1: -1}
    for number, shape in zip(numbers, shapes, strict=True):
        if number in places:
            continue
        tensor = copy.copy(call.graph.tensors[number])
        places[number] = len(graph.tensors)
        graph.tensors.append(tensor)
        values = constant(model, tensor)
        tensor.shape, tensor.shapeSignature = list(shape), None
        tensor.quantization = _cut_scales(tensor, old_shapes[numbers.index(number)], shape)
        tensor.buffer = 0
        if values is not None:
            buffer = schema.BufferT()
            buffer.data = _cut(tensor, values, shape, new_shapes)
            tensor.buffer = len(made.buffers)
            made.buffers.append(buffer)
    operator = copy.copy(call.operator)
    operator.opcodeIndex = 0
    operator.inputs = [places[number] for number in map(int, call.operator.inputs)]
    operator.outputs = [places[number] for number in map(int, call.operator.outputs)]
    graph.operators = [operator]
    given = [
        place
        for place in dict.fromkeys(operator.inputs)
        if place >= 0 and not graph.tensors[place].buffer and not graph.tensors[place].isVariable
    ]
    graph.inputs, graph.outputs = given, list(operator.outputs)
    made.subgraphs = [graph]
    return serialize(made)


def _cut(
    tensor: Any, values: bytes, shape: tuple[int, ...], new_shapes: dict[tuple[int, ...], tuple[int, ...]]
) -> np.ndarray:
    """Return the bytes of a constant of a new shape: the first of its own, or the new shape that it holds."""
    kind = type_name(tensor)
    if kind in _INDICES and len(shape) == 1:
        held = tuple(np.frombuffer(values, _INDICES[kind]).tolist())
        if held in new_shapes:
            return np.frombuffer(np.array(new_shapes[held], _INDICES[kind]).tobytes(), np.uint8)
    bits = _BITS.get(kind, 8 * len(values) // max(1, _count_in(values, kind)))
    return np.frombuffer(values, np.uint8)[: math.ceil(math.prod(shape) * bits / 8)]


def _count_in(values: bytes, kind: str) -> int:
    return len(values) // (1 if kind in ("bool", "int8", "uint8") else np.dtype(kind).itemsize)


def _cut_scales(tensor: Any, old: tuple[int, ...], new: tuple[int, ...]) -> Any:
    """Return the scales of a tensor, of each channel where it had such."""
    quantization = copy.copy(tensor.quantization)
    if quantization is None or quantization.scale is None or len(quantization.scale) <= 1:
        return quantization
    axis = quantization.quantizedDimension
    if len(quantization.scale) == old[axis]:
        quantization.scale = quantization.scale[: new[axis]]
        quantization.zeroPoint = quantization.zeroPoint[: new[axis]]
    quantization.min = quantization.max = None
    return quantization


def _shape(tensor: Any) -> Sequence[int]:
    return () if tensor.shape is None else tensor.shape
