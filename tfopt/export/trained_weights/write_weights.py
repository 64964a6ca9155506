"""Weights on the grid that they were trained on, written into a file that the converter made.

The converter knows one grid, that of 8 bits a channel from the largest magnitude. For all others it is
given the weights as floats on their grid, and what it made of them is replaced here by the integers
themselves, in as few bits as the operator takes that reads them.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfopt.errors import ConversionError
from tfopt.export.flatbuffer.edit import drop_unused_buffers
from tfopt.export.flatbuffer.fields import constant, scales_of, text, type_name
from tfopt.export.flatbuffer.file import Call, ParsedFile
from tfopt.export.flatbuffer.integer_constants import Integers, store, takes_integers
from tfopt.export.flatbuffer.tensor_names import layer_of
from tfopt.export.trained_weights.dynamic_range import rounds_its_input, store_dynamic, takes_blocks
from tfopt.quantization.quantizers.weight import QuantizedWeights

logger = logging.getLogger(__name__)

_POSITIONS = {"GATHER": 0}
"""Operator -> which of its inputs holds weights, where it is another than the second."""


def write_quantized_weights(file: ParsedFile, weights: Mapping[str, QuantizedWeights]) -> bool:
    """Write the weights of some layers as the integers that they are.

    Args:
        file: what the converter made of the weights on their grid, with readable names.
        weights: layer path -> its quantized weights.

    Raises:
        ConversionError: the weights of a layer are not to be found in the file.
    """
    model, done = file.model, set[tuple[int, int]]()
    found = set[str]()
    for call in file.calls():
        index = _weights_index(model, call)
        if index is None or (id(call.graph), index) in done:
            continue
        matched = _matched(model, call, index, weights)
        if matched is None:
            continue
        path, integers = matched
        if integers.dynamic and rounds_its_input(model, call.graph, index):
            store_dynamic(model, call.graph, index, integers)
        else:
            store(model, call.graph, call.operator, index, integers)
        logger.debug("%r has weights of %d bits", path, integers.bits)
        done.add((id(call.graph), index))
        found.add(path)
    # The converter makes one tensor of equal weights of two layers, such as those that share a variable.
    written = [weights[path] for path in found]
    missing = [path for path in weights if path not in found and not any(map(weights[path].equals, written))]
    if missing:
        raise ConversionError(
            "The converter changed the weights of these layers, so that they lie on no grid of few bits: "
            f"{', '.join(missing)}. Give them another scheme, as with "
            f"rules={{{missing[0]!r}: 'int8'}}."
        )
    drop_unused_buffers(model)
    return True


def _weights_index(model: Any, call: Call) -> int | None:
    """Return the number of the constant tensor that holds an operator's weights."""
    graph, operator, name = call
    position = _POSITIONS.get(name, 1)
    inputs = [] if operator.inputs is None else list(operator.inputs)
    if len(inputs) <= position or inputs[position] < 0:
        return None
    tensor = graph.tensors[inputs[position]]
    known = type_name(tensor) in ("float32", "int8") and constant(model, tensor) is not None
    return (
        int(inputs[position]) if known and takes_integers(model, graph, operator, inputs[position]) else None
    )


def _matched(
    model: Any, call: Call, index: int, weights: Mapping[str, QuantizedWeights]
) -> tuple[str, Integers] | None:
    """Return the layer whose integers a tensor holds, those that its names tell of first."""
    graph = call.graph
    names = ";".join(text(graph.tensors[i].name) for i in (*call.operator.outputs, index))
    named = set(layer_of(names).split(" + "))
    blocks = takes_blocks(model, graph, index)
    for path in sorted(weights, key=lambda path: path not in named):
        if weights[path].block_size is not None and not blocks:
            continue
        integers = _integers(model, graph.tensors[index], weights[path], certain=path in named)
        if integers is not None:
            return path, integers
    return None


def _integers(model: Any, tensor: Any, known: QuantizedWeights, certain: bool) -> Integers | None:
    """Return a tensor as quantized weights times one scale a channel, or None where it is something else.

    Of columns of one weight every tensor is: those need names that make it `certain`.
    """
    weights, channels = known.values.shape
    if math.prod(tensor.shape) != known.values.size or (weights == 1 and not certain):
        return None
    values, slack = _real(model, tensor)
    for channels_last in (False, True):
        shape = (weights, channels) if channels_last else (channels, weights)
        held, error = (x.reshape(shape) if channels_last else x.reshape(shape).T for x in (values, slack))
        found = _scaled(known, held, error)
        axis = _axis(tensor.shape, channels, channels_last)
        if found is None:
            continue
        signed, scales = found
        if known.block_size is not None and not channels_last and axis == 0:
            return Integers(
                signed, scales, known.bits, axis, False, known.block_size, known.block_scales, dynamic=True
            )
        if known.block_size is None and (axis is not None or np.allclose(scales, scales[0, 0], 1e-5, 0)):
            return Integers(signed, scales[0], known.bits, axis or 0, channels_last, dynamic=known.dynamic)
    return None


def _scaled(
    known: QuantizedWeights, held: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the integers, with the signs that they have in the file, and their scales.

    Args:
        known: the quantized weights.
        held: what the file holds in their place, `(weights, channels)`.
        error: how far that may be off.

    Returns:
        Integers as columns and scales `(blocks, channels)`; None where `held` is something else.
    """
    weights, channels = known.values.shape
    # A BatchNormalization after the layer has scaled each channel, and turned the sign of some.
    signed = known.values * np.where(np.sum(held * known.values, axis=0) < 0, -1, 1)
    blocks = (-1, known.block_size or weights, channels)
    held, error, integers = held.reshape(blocks), error.reshape(blocks), signed.reshape(blocks)
    scales = np.max(np.abs(held), axis=1, keepdims=True) / np.maximum(
        np.max(np.abs(integers), axis=1, keepdims=True), 1
    )
    if not np.all(np.abs(held - integers * scales) <= error + 1e-4 * scales):
        return None
    integers = np.where(scales > 0, integers, 0).astype(np.int8)
    return integers.reshape(weights, channels), _positive(scales[:, 0], integers)


def _axis(shape: Sequence[int], channels: int, channels_last: bool) -> int | None:
    """Return the axis of the channels: the first or last but for some of size 1; None without one."""
    order = list(enumerate(shape))[:: -1 if channels_last else 1]
    axis, size = order[0] if channels == 1 else next((each for each in order if each[1] != 1), order[0])
    return axis if size == channels else None


def _real(model: Any, tensor: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the values of a constant tensor, and how far the converter may have rounded each."""
    data = constant(model, tensor) or b""
    if type_name(tensor) == "float32":
        values = np.frombuffer(data, np.float32).reshape(tensor.shape).astype(np.float64)
        return values, np.zeros_like(values)
    scales = scales_of(tensor)
    if len(scales) > 1:
        along = [1] * len(tensor.shape)
        along[tensor.quantization.quantizedDimension or 0] = -1
        scales = scales.reshape(along)
    integers = np.frombuffer(data, np.int8).reshape(tensor.shape).astype(np.float64)
    return integers * scales, np.broadcast_to(0.51 * scales, integers.shape)


def _positive(scales: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the scales with another one's for each column of zeros, which has none.

    Args:
        scales: `(blocks, channels)`.
        values: `(blocks, weights of one, channels)`.
    """
    used = np.any(values != 0, axis=1)
    return np.where(used, scales, scales[used][0] if used.any() else 1.0)
