"""Which float tensors must not be rounded: indices, columns of different size, the inputs of layers in float.

`keras.Input(shape)` is float32 unless told otherwise, so tokens and categories often come in as floats. On
255 values of a range, the tokens 500 and 501 are one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from typing import Any

import keras

from tfopt.graph import Constant, Node, OverBatch, nodes, producer, valued
from tfopt.quantization.layers.scaling import Scaling
from tfopt.quantization.operators.op_traits import Kind
from tfopt.quantization.operators.traits import traits_of
from tfopt.quantization.planning.uneven_columns import normalizes_columns_in_float

_PASS_ON = frozenset({Kind.SAME_SCALE, Kind.SCALING, Kind.RELU})
"""The kinds of operations that indices may pass on their way: shaping, shifting, clipping."""


def exact_tensors(model: keras.Model, kinds: Mapping[int, Kind], by_rule: Set[int]) -> dict[int, bool]:
    """Return the `id` of each float tensor that no quantizer may round -> whether it holds indices.

    These are the inputs that a layer which a rule leaves in float reads, and what is derived from inputs by
    reshaping and the like on the way to an embedding or another reader of indices.

    Args:
        model: canonical.
        kinds: `id` of each operation -> its kind.
        by_rule: the `id` of each operation that a rule leaves in float.
    """
    graph = nodes(model)
    inputs = {id(x) for x in model.inputs if _is_float(x)}
    readers: dict[int, list[Node]] = defaultdict(list)
    makers: dict[int, Node] = {}
    of_inputs = set(inputs)
    constants: set[int] = set()
    for node in graph:
        for x in node.inputs:
            readers[id(x)].append(node)
        floats = [x for x in node.inputs if _is_float(x) and id(x) not in constants]
        if isinstance(node.operation, Constant):
            constants.update(map(id, node.outputs))
        elif _turns_integers_into_floats(node):
            of_inputs.update(map(id, node.outputs))
        elif _passes_on(node, kinds) and floats and all(id(x) in of_inputs for x in floats):
            of_inputs.update(id(x) for x in node.outputs)
            makers.update({id(x): node for x in node.outputs})
    exact: dict[int, bool] = {}
    left = [
        id(x)
        for node in graph
        for x in (node.inputs if normalizes_columns_in_float(node.operation, kinds) else indices_of(node))
        if id(x) in of_inputs
    ]
    while left:
        tensor = left.pop()
        if tensor not in exact:
            exact[tensor] = True
            if tensor in makers:
                left.extend(id(x) for x in makers[tensor].inputs if id(x) in of_inputs)
    for tensor in inputs - exact.keys():
        if any(id(node.operation) in by_rule for node in readers[tensor]):
            exact[tensor] = False
    return exact


def kept_in_float(
    model: keras.Model, kinds: Mapping[int, Kind], exact: Mapping[int, bool]
) -> dict[int, Kind]:
    """Return the kinds with those operations in float that pass indices on, or rows to others in float.

    The converter would carry the scale of rows that are constant over to the operation that reads them.
    """
    graph = nodes(model)
    passing = {
        id(node.operation): Kind.FLOAT
        for node in graph
        if any(exact.get(id(x)) for x in node.inputs) and _passes_on(node, kinds)
    }
    kinds = {**kinds, **passing}
    final = {id(x) for x in model.outputs}
    read_in_float = {id(x): id(x) not in final for node in graph for x in node.inputs}
    for node in graph:
        if kinds[id(node.operation)] is not Kind.FLOAT:
            read_in_float.update({id(x): False for x in node.inputs})
    calls = [node for node in graph if isinstance(node.operation, OverBatch)]
    others = {id(node.operation) for node in calls if not read_in_float.get(id(node.outputs[0]))}
    rows = {id(node.operation) for node in calls} - others
    return kinds | dict.fromkeys(rows, Kind.FLOAT)


def _passes_on(node: Node, kinds: Mapping[int, Kind]) -> bool:
    scaled = isinstance(node.operation, Scaling) or _scales(node)
    return scaled or kinds[id(node.operation)] in _PASS_ON or traits_of(node.operation).passes_indices


def _turns_integers_into_floats(node: Node) -> bool:
    of_integers = not any(map(_is_float, node.inputs)) and all(map(_is_float, node.outputs))
    return traits_of(node.operation).casts and of_integers


def _scales(node: Node) -> bool:
    """Return whether a call multiplies by a constant or adds one."""
    makers = [producer(x) for x in node.inputs]
    constants = [maker is not None and isinstance(maker.operation, Constant) for maker in makers]
    return traits_of(node.operation).neutral is not None and sum(constants) == 1


def reads_exactly(node: Node, tensor: int, kinds: Mapping[int, Kind]) -> bool:
    """Return whether an operation takes a tensor as it is: in float, as indices, or for its batch alone."""
    if kinds[id(node.operation)] is Kind.FLOAT:
        return True
    for_batch = node.inputs[len(valued(node.operation, node.inputs)) :]
    return any(id(x) == tensor for x in (*indices_of(node), *for_batch))


def indices_of(node: Node) -> Sequence[Any]:
    """Return the inputs of an operation that must be exact."""
    exact = traits_of(node.operation).exact_inputs
    return [] if exact is None else exact(node)


def _is_float(tensor: Any) -> bool:
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(tensor.dtype))
