"""Weights of layers that were to stay in float, which the converter has rounded to integers all the same.

It does so with the kernels of transposed convolutions wherever a file has integers. The float kernel is put
back.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tfopt.export.flatbuffer.edit import add_buffer, drop_unused_buffers
from tfopt.export.flatbuffer.fields import constant, scales_of, type_name
from tfopt.export.flatbuffer.file import Call, ParsedFile
from tfopt.export.int16.tensors import FLOAT32
from tfopt.export.keras_graph.expected_tensors import FilePlan


def restore_float_weights(file: ParsedFile, plan: FilePlan) -> bool:
    """Put the weights of the model in place of those that the converter has rounded.

    Args:
        file: what the converter wrote.
        plan: what its tensors are to be.
    """
    changed = False
    for call in file.calls():
        for index in rounded_weights(file, call, plan):
            changed |= _put_back(file.model, call.graph.tensors[index], _known(call, plan))
    if changed:
        drop_unused_buffers(file.model)
    return changed


def rounded_weights(file: ParsedFile, call: Call, plan: FilePlan) -> list[int]:
    """Return the numbers of an operator's integer constants that its plan has in float."""
    layers = _layers(call, plan)
    if not layers or not all(plan.in_float(layer) and layer not in plan.weights for layer in layers):
        return []
    return [
        int(index)
        for index in call.operator.inputs
        if index >= 0
        and type_name(call.graph.tensors[index]) == "int8"
        and constant(file.model, call.graph.tensors[index]) is not None
    ]


def _layers(call: Call, plan: FilePlan) -> list[str]:
    return [layer for layer in call.layers if layer in plan.layers]


def _known(call: Call, plan: FilePlan) -> list[np.ndarray]:
    return [x for layer in _layers(call, plan) for x in plan.float_weights.get(layer, ())]


def _put_back(model: Any, tensor: Any, known: list[np.ndarray]) -> bool:
    """Give a tensor the weights that it was rounded from; return whether they were found."""
    shape = tuple(int(size) for size in tensor.shape)
    axis = int(tensor.quantization.quantizedDimension)
    scales = scales_of(tensor)
    if len(scales) > 1:
        scales = scales.reshape([-1 if each == axis else 1 for each in range(len(shape))])
    held = np.frombuffer(constant(model, tensor) or b"", np.int8).reshape(shape) * scales
    for weights in known:
        for order in itertools.permutations(range(weights.ndim)):
            found = weights.transpose(order)
            if found.shape == shape and np.all(np.abs(found - held) <= 0.51 * scales):
                tensor.buffer = add_buffer(model, np.ascontiguousarray(found, np.float32))
                tensor.type, tensor.quantization = FLOAT32, None
                return True
    return False
