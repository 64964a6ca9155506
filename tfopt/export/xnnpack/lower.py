"""Lowerings of int8 operators that LiteRT's delegate, XNNPACK, does not take.

They run in slow reference code. Integer operators that the delegate does take replace them, or they
themselves in float, between a DEQUANTIZE and a QUANTIZE. The table of costs says which lowering is the
fastest for the size of an operator.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from tfopt.export.flatbuffer.edit import drop_unused_buffers
from tfopt.export.flatbuffer.fields import constant, per_tensor, type_name
from tfopt.export.flatbuffer.file import Call, ParsedFile
from tfopt.export.flatbuffer.replace_operator import Replacement
from tfopt.export.xnnpack import average_pool, prelu, relu_hard_swish
from tfopt.export.xnnpack.costs import AS_IT_IS, COSTS, IN_FLOAT, Work

logger = logging.getLogger(__name__)

Lowering: TypeAlias = Callable[[Replacement], bool]
"""Adds operators and returns True, or False where it cannot lower what is to be replaced."""


def lower_for_xnnpack(file: ParsedFile, *, float_where_faster: bool = False) -> bool:
    """Replace each operator in `LOWERINGS` by its fastest lowering; the grids stay the same.

    Args:
        file: to change.
        float_where_faster: whether a lowering may compute in float.
    """
    changed = False
    for call in file.calls():
        if call.name in LOWERINGS and _in_int8(call):
            replacement = fastest(file, call, float_where_faster=float_where_faster)
            if replacement is not None:
                replacement.apply()
                changed = True
    if changed:
        drop_unused_buffers(file.model)
    return changed


def fastest(file: ParsedFile, call: Call, *, float_where_faster: bool) -> Replacement | None:
    """Return the fastest replacement of an operator, or None where nothing is faster."""
    name, work = call.name, work_of(call)
    cost = {each: COSTS[name, each].microseconds(work) for each in (AS_IT_IS, *LOWERINGS[name])}
    for lowering in sorted(LOWERINGS[name], key=cost.__getitem__):
        if cost[lowering] >= cost[AS_IT_IS] or (lowering == IN_FLOAT and not float_where_faster):
            continue
        replacement = Replacement(file.model, call.graph, call.operator)
        if LOWERINGS[name][lowering](replacement):
            logger.info(
                "%s of %s is lowered to %s for XNNPACK: %.3g us instead of %.3g us",
                *(name, " + ".join(call.layers), lowering, cost[lowering], cost[AS_IT_IS]),
            )
            return replacement
    return None


def _in_float(made: Replacement) -> bool:
    """Make the operator itself between a DEQUANTIZE and a QUANTIZE, its constants in float."""
    inputs: list[int] = []
    for number in made.operator.inputs:
        tensor = made.tensor_of(int(number))
        data = constant(made.model, tensor)
        part = f"float_{len(inputs)}"
        if data is None:
            floats = made.tensor(part, tensor.shape)
            made.add("DEQUANTIZE", [int(number)], floats, "DequantizeOptions")
        else:
            scale, zero_point = made.grid(int(number))
            integers = np.frombuffer(data, np.int8).reshape(tensor.shape).astype(np.float32)
            floats = made.constant(part, (integers - np.float32(zero_point)) * np.float32(scale))
        inputs.append(floats)
    result = made.tensor("float", made.tensor_of(made.output).shape)
    made.add_same(inputs, result)
    made.add("QUANTIZE", [result], made.output, "QuantizeOptions")
    return True


def work_of(call: Call) -> Work:
    """Return how much an operator does."""
    return _WORK.get(call.name, _values)(call.graph, call.operator)


def _values(graph: Any, operator: Any) -> Work:
    shape = [int(size) for size in graph.tensors[operator.outputs[0]].shape]
    return Work(elements=math.prod(shape), rows=math.prod(shape[:-1]))


def _in_int8(call: Call) -> bool:
    """Return whether an operator reads and writes int8 on one scale each."""
    tensors = (call.graph.tensors[i] for i in (call.operator.inputs[0], call.operator.outputs[0]))
    return all(type_name(tensor) == "int8" and per_tensor(tensor)[0] is not None for tensor in tensors)


_WORK: Mapping[str, Callable[[Any, Any], Work]] = {"AVERAGE_POOL_2D": average_pool.work}
"""Operator -> how much it does, where its output does not tell."""

LOWERINGS: Mapping[str, Mapping[str, Lowering]] = {
    "AVERAGE_POOL_2D": {
        "MEAN": average_pool.mean,
        "DEPTHWISE_CONV_2D": average_pool.depthwise,
        "DEPTHWISE_CONV_2D + MUL": average_pool.depthwise_and_product,
        IN_FLOAT: _in_float,
    },
    "PRELU": {
        "DEPTHWISE_CONV_2D": prelu.depthwise,
        "MUL": prelu.product,
        IN_FLOAT: _in_float,
    },
    "RELU": {"MAXIMUM": relu_hard_swish.relu, IN_FLOAT: _in_float},
    "RELU6": {"MAXIMUM": relu_hard_swish.relu6, IN_FLOAT: _in_float},
    "HARD_SWISH": {"ADD + MUL": relu_hard_swish.hard_swish, IN_FLOAT: _in_float},
    "SOFTMAX": {IN_FLOAT: _in_float},
}
"""Operator -> its lowerings by name. Each has a row in `COSTS`."""
