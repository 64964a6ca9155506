"""Other forms of int8 operators that LiteRT's delegate, XNNPACK, does not take.

They run in slow reference code. What takes their place are integer operators that the delegate does take, or
they themselves in float, between a DEQUANTIZE and a QUANTIZE. The table of costs says what is the fastest for
the size that an operator has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfopt.export.flatbuffer import parse, serialize
from tfopt.export.flatbuffer.integer_constants import constant, drop_unused_buffers
from tfopt.export.flatbuffer.replace_operator import Replacement
from tfopt.export.xnnpack import average_pool, prelu, relu_hard_swish
from tfopt.export.xnnpack.costs import AS_IT_IS, COSTS, IN_FLOAT, Work

Form = Callable[[Replacement], bool]
"""Adds operators and returns True, or False where the form is none for what is to be replaced."""


def for_delegate(content: bytes, *, float_where_faster: bool = False) -> bytes:
    """Return the file with the operators in `FORMS` in the form that is fastest, with the same grids.

    Args:
        content: of a file.
        float_where_faster: whether a form may compute in float.
    """
    model = parse.read(content, "What the converter wrote")
    changed = False
    for graph in model.subgraphs:
        for operator in list(graph.operators or []):
            name = parse.operator_name(model, operator)
            if name in FORMS and _in_int8(graph, operator):
                found = fastest(model, graph, operator, name, float_where_faster=float_where_faster)
                if found is not None:
                    found.apply()
                    changed = True
    if not changed:
        return content
    drop_unused_buffers(model)
    return serialize.write(model)


def fastest(
    model: Any, graph: Any, operator: Any, name: str, *, float_where_faster: bool
) -> Replacement | None:
    """Return what is to stand in the place of an operator, or None where nothing is faster."""
    work = work_of(graph, operator, name)
    cost = {form: COSTS[name, form].microseconds(work) for form in (AS_IT_IS, *FORMS[name])}
    for form in sorted(FORMS[name], key=cost.__getitem__):
        if cost[form] >= cost[AS_IT_IS] or (form == IN_FLOAT and not float_where_faster):
            continue
        made = Replacement(model, graph, operator)
        if FORMS[name][form](made):
            return made
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


def work_of(graph: Any, operator: Any, name: str) -> Work:
    """Return how much an operator does."""
    return _WORK.get(name, _values)(graph, operator)


def _values(graph: Any, operator: Any) -> Work:
    shape = [int(size) for size in graph.tensors[operator.outputs[0]].shape]
    return Work(elements=math.prod(shape), rows=math.prod(shape[:-1]))


def _in_int8(graph: Any, operator: Any) -> bool:
    ends = (graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]])
    return all(parse.type_name(x) == "int8" and parse.per_tensor(x)[0] is not None for x in ends)


_WORK: Mapping[str, Callable[[Any, Any], Work]] = {"AVERAGE_POOL_2D": average_pool.work}
"""Operator -> how much it does, where that is not told by its output."""

FORMS: Mapping[str, Mapping[str, Form]] = {
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
"""Operator -> its other forms. Each has a row in `COSTS`."""
