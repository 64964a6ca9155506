"""Weights of layers that were to stay in float, which the converter has rounded to integers all the same.

It does so with the kernels of transposed convolutions wherever a file has integers. The float kernel is put
back.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from tfopt.export.flatbuffer import parse, serialize
from tfopt.export.flatbuffer.integer_constants import constant, drop_unused_buffers, scales_of
from tfopt.export.flatbuffer.parse import add_buffer, text, type_name
from tfopt.export.flatbuffer.tensor_names import layers_in
from tfopt.export.int16.tensors import FLOAT32
from tfopt.export.keras_graph.expected_tensors import FilePlan


def with_float_weights(content: bytes, plan: FilePlan) -> bytes:
    """Return the file with the weights of the model in place of those that the converter has rounded.

    Args:
        content: what the converter wrote.
        plan: what its tensors are to be.
    """
    if (
        not plan.quantizers or not plan.float_weights
    ):  # without: one of another engine's, with ranges of its own
        return content
    model = parse.read(content, "What the converter wrote")
    changed = False
    for graph in model.subgraphs:
        for operator in graph.operators or []:
            for index in rounded_weights(model, graph, operator, plan):
                changed |= _put_back(model, graph.tensors[index], _known(graph, operator, plan))
    if not changed:
        return content
    drop_unused_buffers(model)
    return serialize.write(model)


def rounded_weights(model: Any, graph: Any, operator: Any, plan: FilePlan) -> list[int]:
    """Return the numbers of an operator's integer constants that its plan has in float."""
    layers = _layers(graph, operator, plan)
    if not layers or not all(plan.in_float(layer) and layer not in plan.weights for layer in layers):
        return []
    return [
        int(index)
        for index in operator.inputs
        if index >= 0
        and type_name(graph.tensors[index]) == "int8"
        and constant(model, graph.tensors[index]) is not None
    ]


def _layers(graph: Any, operator: Any, plan: FilePlan) -> list[str]:
    names = [text(graph.tensors[int(index)].name) for index in operator.outputs]
    return [layer for name in names for layer in layers_in(name) if layer in plan.layers]


def _known(graph: Any, operator: Any, plan: FilePlan) -> list[np.ndarray]:
    return [x for layer in _layers(graph, operator, plan) for x in plan.float_weights.get(layer, ())]


def _put_back(model: Any, tensor: Any, known: list[np.ndarray]) -> bool:
    """Give a tensor the weights that it was rounded from; return whether they were found."""
    shape = tuple(int(size) for size in tensor.shape)
    axis = int(tensor.quantization.quantizedDimension)
    scales = scales_of(tensor)
    steps = scales.reshape([-1 if i == axis else 1 for i in range(len(shape))]) if len(scales) > 1 else scales
    held = np.frombuffer(constant(model, tensor) or b"", np.int8).reshape(shape) * steps
    for weights in known:
        for order in itertools.permutations(range(weights.ndim)):
            found = weights.transpose(order)
            if found.shape == shape and np.all(np.abs(found - held) <= 0.51 * steps):
                tensor.buffer = add_buffer(model, np.ascontiguousarray(found, np.float32))
                tensor.type, tensor.quantization = FLOAT32, None
                return True
    return False
