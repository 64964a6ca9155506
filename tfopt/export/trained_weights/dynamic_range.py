"""Integer weights with activations in float, which the operator quantizes by itself while the file runs.

LiteRT has kernels for that, and XNNPACK fast ones; what they do is described in
`tfopt.quantization.quantizers.dynamic_activations`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.edit import add_buffer
from tfopt.export.flatbuffer.fields import operator_name, text
from tfopt.export.flatbuffer.integer_constants import Integers, has_int8_inputs, tensor_of
from tfopt.export.flatbuffer.replace_operator import Replacement
from tfopt.quantization.quantizers.weight_grids import SCALES_OF_BLOCKS

_VERSIONS: Mapping[str, Mapping[int, int]] = {
    "CONV_2D": {8: 5, 4: 7},
    "DEPTHWISE_CONV_2D": {8: 6},
    "FULLY_CONNECTED": {8: 12, 4: 12, 2: 14},
    "TRANSPOSE_CONV": {8: 2},
}
"""Operator -> the bits in which it reads weights with float activations -> the version that does so."""

_BITS_OF_BLOCKS = 4


def rounds_its_input(model: Any, graph: Any, index: int) -> bool:
    """Return whether all that read the weights `index` can multiply them with floats that they round."""
    return all(
        operator_name(model, operator) in _VERSIONS and not has_int8_inputs(graph, operator, index)
        for operator in _readers(graph, index)
    )


def takes_blocks(model: Any, graph: Any, index: int) -> bool:
    """Return whether the weights `index` can be integers with a scale for each block."""
    names = {operator_name(model, operator) for operator in _readers(graph, index)}
    return names == {"FULLY_CONNECTED"} and rounds_its_input(model, graph, index)


def store_dynamic(model: Any, graph: Any, index: int, integers: Integers) -> None:
    """Let the operators that read weights have them as integers.

    Args:
        model, graph: of the file; they are changed.
        index: the number of the tensor of the weights, of which `rounds_its_input` holds.
        integers: what to store.
    """
    readers = _readers(graph, index)
    versions = [_VERSIONS[operator_name(model, operator)] for operator in readers]
    bits = _BITS_OF_BLOCKS
    if integers.block_size is None:
        bits = max(min(bits for bits in each if bits >= integers.bits) for each in versions)
    for operator, each in zip(readers, versions, strict=True):
        code = model.operatorCodes[operator.opcodeIndex]
        code.version = max(code.version, each[bits])
        if operator_name(model, operator) == "FULLY_CONNECTED":
            operator.builtinOptions.asymmetricQuantizeInputs = True  # as XNNPACK does in any case
    tensor = graph.tensors[index] = tensor_of(model, graph.tensors[index], integers, bits)
    if integers.block_size is not None:
        scales, block_scales = integers.scales, integers.block_scales
        low, high = SCALES_OF_BLOCKS
        if block_scales is not None and (np.any(scales < 0.99 * low) or np.any(scales > 1.01 * high)):
            # What follows the layer, such as a LayerScale of 1e-6, has become part of its scales.
            gains = (np.max(scales, axis=0) / np.max(block_scales, axis=0)).astype(np.float32)
            for operator in readers:
                _multiply_sums(model, graph, operator, gains)
            scales = block_scales
        tensor.quantization = _grid_of_blocks(model, graph, text(tensor.name), scales, integers.block_size)
    else:
        # With one scale for all channels LiteRT takes other kernels, which round otherwise.
        tensor.quantization.scale = integers.scales.astype(np.float32)
        tensor.quantization.zeroPoint = np.zeros(len(integers.scales), np.int64)


def _readers(graph: Any, index: int) -> list[Any]:
    return [operator for operator in graph.operators if index in operator.inputs]


def _grid_of_blocks(model: Any, graph: Any, name: str, scales: np.ndarray, size: int) -> Any:
    """Return the quantization of a tensor in blocks, whose scales are a tensor of their own."""
    values = _of_eight_digits(scales.T).astype(np.float16)
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.hasRank = f"{name}:scales", schema.TensorType.FLOAT16, True
    tensor.shape, tensor.buffer = list(values.shape), add_buffer(model, values)
    graph.tensors.append(tensor)
    blocks = schema.BlockwiseQuantizationT()
    blocks.scales, blocks.zeroPoints, blocks.blockSize = len(graph.tensors) - 1, -1, size
    grid = schema.QuantizationParametersT()
    grid.detailsType = schema.QuantizationDetails.BlockwiseQuantization
    grid.details = blocks
    return grid


def _multiply_sums(model: Any, graph: Any, operator: Any, gains: np.ndarray) -> None:
    """Multiply what a FULLY_CONNECTED sums by a number a channel, before its bias and activation."""
    made = Replacement(model, graph, operator)
    shape = made.shape(made.output)
    bias = int(operator.inputs[2]) if len(operator.inputs) > 2 else -1
    activation = operator.builtinOptions.fusedActivationFunction
    operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.NONE
    sums = made.add_same([*operator.inputs[:2], -1], made.tensor("sums", shape))
    factors = [sums, made.constant("gains", gains)]
    if bias < 0:
        made.add("MUL", factors, made.output, "MulOptions", fusedActivationFunction=activation)
    else:
        products = made.add("MUL", factors, made.tensor("products", shape), "MulOptions")
        made.add("ADD", [products, bias], made.output, "AddOptions", fusedActivationFunction=activation)
    made.apply()


def _of_eight_digits(values: np.ndarray) -> np.ndarray:
    """Return positive numbers rounded to what bfloat16 has, which is what XNNPACK reads of block scales."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)).view(np.float32)
