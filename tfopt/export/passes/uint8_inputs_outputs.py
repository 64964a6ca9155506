"""Inputs and outputs in uint8, as many programs around TFLite files feed and read them.

The integers inside stay int8: a QUANTIZE operator takes 128 away where they enter and adds it where
they leave.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.edit import operator_code
from tfopt.export.flatbuffer.fields import per_tensor, text, type_name
from tfopt.export.flatbuffer.file import ParsedFile

_OFFSET = 128


def make_inputs_outputs_uint8(file: ParsedFile, *, inputs: bool, outputs: bool) -> bool:
    """Turn inputs or outputs of int8 into uint8: the scale stays, the zero point is 128 higher.

    Args:
        file: to change.
        inputs, outputs: which of them.
    """
    model, graph = file.model, file.model.subgraphs[0]
    before: dict[int, int] = {}
    after: dict[int, int] = {}
    if inputs:
        before = {old: _unsigned(graph, old) for old in map(int, graph.inputs) if _is_int8(graph, old)}
        graph.operators[:0] = [_quantize(model, new, old) for old, new in before.items()]
        graph.inputs = [before.get(int(old), int(old)) for old in graph.inputs]
    if outputs:
        after = {old: _unsigned(graph, old) for old in map(int, graph.outputs) if _is_int8(graph, old)}
        graph.operators += [_quantize(model, old, new) for old, new in after.items()]
        graph.outputs = [after.get(int(old), int(old)) for old in graph.outputs]
    for signature in model.signatureDefs or []:
        for entries, changed in ((signature.inputs, before), (signature.outputs, after)):
            for entry in entries or []:
                entry.tensorIndex = changed.get(int(entry.tensorIndex), int(entry.tensorIndex))
    return bool(before or after)


def _is_int8(graph: Any, index: int) -> bool:
    tensor = graph.tensors[index]
    return type_name(tensor) == "int8" and per_tensor(tensor)[0] is not None


def _unsigned(graph: Any, index: int) -> int:
    """Append the tensor in uint8, which takes over the name, and return its number."""
    signed = graph.tensors[index]
    tensor = copy.copy(signed)
    tensor.type, tensor.buffer = schema.TensorType.UINT8, 0
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale = np.asarray(signed.quantization.scale, np.float32)
    tensor.quantization.zeroPoint = np.asarray(signed.quantization.zeroPoint, np.int64) + _OFFSET
    signed.name = f"{text(signed.name)}:int8"
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _quantize(model: Any, input_: int, output: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = operator_code(model, "QUANTIZE", 2)
    operator.inputs, operator.outputs = [input_], [output]
    operator.builtinOptionsType = schema.BuiltinOptions.QuantizeOptions
    operator.builtinOptions = schema.QuantizeOptionsT()
    return operator
