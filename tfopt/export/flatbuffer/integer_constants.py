"""Putting integers of few bits into a TFLite file, in place of a constant tensor."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.edit import add_buffer, operator_code
from tfopt.export.flatbuffer.fields import constant, operator_name, scales_of, text, type_name

_TYPES = {8: schema.TensorType.INT8, 4: schema.TensorType.INT4, 2: schema.TensorType.INT2}

_VERSIONS: Mapping[str, Mapping[int, int]] = {
    "CONV_2D": {8: 3, 4: 7},
    "DEPTHWISE_CONV_2D": {8: 3, 4: 6},
    "FULLY_CONNECTED": {8: 4, 4: 10, 2: 14},
    "TRANSPOSE_CONV": {8: 1},
}
"""Operator -> the bits in which LiteRT reads weights with int8 activations -> the version that does so."""

_DEQUANTIZE_BITS = (8, 4, 2)
"""The bits of constants from which DEQUANTIZE makes floats, once, before the first call."""

_DEQUANTIZE_VERSION = 6


@dataclasses.dataclass(frozen=True, eq=False)
class Integers:
    """What a tensor holds: `values * scales`.

    Attributes:
        values: int8 in columns, `(weights, channels)`.
        scales: positive, one a channel; of blocks `(blocks, channels)`.
        bits: that the values need.
        axis: of the tensor, that numbers the channels.
        channels_last: whether they are the last of the tensor but for axes of size 1, or the first.
        block_size: how many weights of a channel share a scale; None for all.
        block_scales: of blocks, the scales before what follows the layer became part of them.
        dynamic: whether an operator with float activations is to read the integers itself; see
            `tfopt.export.trained_weights.dynamic_range`.
    """

    values: np.ndarray
    scales: np.ndarray
    bits: int
    axis: int
    channels_last: bool
    block_size: int | None = None
    block_scales: np.ndarray | None = None
    dynamic: bool = False


def store(model: Any, graph: Any, operator: Any, index: int, integers: Integers) -> None:
    """Replace the weights of an operator by integers, in as few bits as it takes.

    With integer activations the operator reads them itself; with floats a DEQUANTIZE before it does.

    Args:
        model, graph: of the file; they are changed.
        operator: that reads the weights, next to int8 or float32 activations; one that `takes_integers`.
        index: the number of the tensor of the weights.
        integers: what to store.
    """
    if not has_int8_inputs(graph, operator, index):
        bits = min(each for each in _DEQUANTIZE_BITS if each >= integers.bits)
        _insert_dequantize(model, graph, index, tensor_of(model, graph.tensors[index], integers, bits))
        return
    versions = _VERSIONS[operator_name(model, operator)]
    bits = min(each for each in versions if each >= integers.bits)
    before = graph.tensors[index]
    graph.tensors[index] = tensor_of(model, before, _stretched(integers, bits), bits)
    _rescale_biases(model, graph, index, scales_of(before), scales_of(graph.tensors[index]))
    code = model.operatorCodes[operator.opcodeIndex]
    code.version = max(code.version, versions[bits])


def takes_integers(model: Any, graph: Any, operator: Any, index: int) -> bool:
    """Return whether an operator can have the tensor `index` as integers with a scale for each channel."""
    return operator_name(model, operator) in _VERSIONS or not has_int8_inputs(graph, operator, index)


def has_int8_inputs(graph: Any, operator: Any, index: int) -> bool:
    """Return whether an operator reads int8 in another tensor than `index`."""
    others = (graph.tensors[i] for i in operator.inputs if i >= 0 and i != index)
    return any(type_name(tensor) == "int8" for tensor in others)


def _stretched(integers: Integers, bits: int) -> Integers:
    """Return the same weights as larger integers of `bits` bits, with smaller scales.

    LiteRT's own kernels round a sum of products twice, which shows where its scale is near the output's.
    """
    factor = (2 ** (bits - 1) - 1) // max(1, int(np.abs(integers.values).max()))
    values, scales = integers.values * np.int8(factor), integers.scales / factor
    return dataclasses.replace(integers, values=values, scales=scales)


def tensor_of(model: Any, before: Any, integers: Integers, bits: int) -> Any:
    """Return the tensor of `bits` bits that replaces `before`."""
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.hasRank = before.name, before.shape, before.hasRank
    tensor.type = _TYPES[bits]
    ordered = integers.values if integers.channels_last else integers.values.T
    tensor.buffer = add_buffer(model, packed(ordered, bits))
    scales = integers.scales.ravel()
    if np.allclose(scales, scales[0], rtol=1e-5, atol=0):
        scales = scales[:1]
    grid = schema.QuantizationParametersT()
    grid.scale = scales.astype(np.float32)
    grid.zeroPoint = np.zeros(len(scales), np.int64)
    grid.quantizedDimension = integers.axis
    tensor.quantization = grid
    return tensor


def packed(values: np.ndarray, bits: int) -> np.ndarray:
    """Return integers as TFLite stores them: several in a byte, the first in its lowest bits.

    Args:
        values: of any shape, each from -2**(bits - 1) to 2**(bits - 1) - 1.
        bits: 8, 4 or 2.
    """
    each = 8 // bits
    flat = values.astype(np.int8).ravel().view(np.uint8) & np.uint8(2**bits - 1)
    bytes_ = np.pad(flat, (0, -len(flat) % each)).reshape(-1, each)
    shifted = bytes_ << (bits * np.arange(each, dtype=np.uint8))
    return np.asarray(np.bitwise_or.reduce(shifted, axis=1), np.uint8)


def _insert_dequantize(model: Any, graph: Any, index: int, stored: Any) -> None:
    """Let a constant float tensor be made from `stored`."""
    made = graph.tensors[index]
    stored.name = text(made.name) + ":integers"
    made.buffer = 0  # the empty one
    made.quantization = None
    made.type = schema.TensorType.FLOAT32
    graph.tensors.append(stored)
    operator = schema.OperatorT()
    operator.opcodeIndex = operator_code(model, "DEQUANTIZE", _DEQUANTIZE_VERSION)
    operator.inputs, operator.outputs = [len(graph.tensors) - 1], [index]
    operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = schema.DequantizeOptionsT()
    graph.operators.insert(0, operator)


def _rescale_biases(model: Any, graph: Any, weights: int, before: np.ndarray, after: np.ndarray) -> None:
    """Round the biases that are added to products of the weights to the scale of these products."""
    ratio = before / after
    readers = [operator for operator in graph.operators if weights in operator.inputs]
    for index in {int(i) for operator in readers for i in operator.inputs if i >= 0}:
        bias = graph.tensors[index]
        data = constant(model, bias)
        quantized = bias.quantization is not None and bias.quantization.scale is not None
        if type_name(bias) != "int32" or len(bias.shape) != 1 or data is None or not quantized:
            continue
        if any(index in operator.inputs and operator not in readers for operator in graph.operators):
            bias = _copied_for(graph, readers, index)
        integers = np.rint(np.frombuffer(data, np.int32) * ratio).astype(np.int32)
        bias.buffer = add_buffer(model, integers.view(np.uint8))
        scales = np.broadcast_to(scales_of(bias) / ratio, np.maximum(ratio.shape, scales_of(bias).shape))
        bias.quantization.scale = scales[: len(after)].astype(np.float32)
        bias.quantization.zeroPoint = np.zeros(len(after), np.int64)


def _copied_for(graph: Any, readers: list[Any], index: int) -> Any:
    """Return a copy of a tensor that `readers` now read in its place."""
    graph.tensors.append(copy.deepcopy(graph.tensors[index]))
    for operator in readers:
        new = len(graph.tensors) - 1
        operator.inputs = [new if i == index else i for i in operator.inputs]
    return graph.tensors[-1]
