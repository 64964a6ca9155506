"""Taking the operators out of a file that kept its parts in float apart from those in integers.

`tfopt.export.keras_graph.barriers.float_barriers` has inserted them before the converter ran.
"""

from __future__ import annotations

from typing import Any

from tfopt.export.flatbuffer.fields import operator_name
from tfopt.export.flatbuffer.file import ParsedFile


def remove_barriers(file: ParsedFile, barrier: str) -> bool:
    """Let the readers of all operators of one kind read the inputs of these.

    Args:
        file: what the converter wrote.
        barrier: the kind, as `insert_barriers` returned it.
    """
    removed = [_take_out(file.model, graph, barrier) for graph in file.graphs]
    return any(removed)


def _take_out(model: Any, graph: Any, barrier: str) -> bool:
    """Remove the barriers of one graph; return whether it has any."""
    barriers = [each for each in graph.operators or [] if operator_name(model, each) == barrier]
    source = {int(each.outputs[0]): int(each.inputs[0]) for each in barriers}

    def before(index: int) -> int:
        while index in source:
            index = source[index]
        return int(index)

    for operator in graph.operators or []:
        operator.inputs = [before(index) for index in operator.inputs]
    graph.operators = [each for each in graph.operators or [] if not any(each is x for x in barriers)]
    graph.outputs = [before(index) for index in graph.outputs]
    _drop_tensors(graph, set(source))
    return bool(barriers)


def _drop_tensors(graph: Any, dropped: set[int]) -> None:
    """Remove tensors that nothing refers to any more."""
    kept = (index for index in range(len(graph.tensors)) if index not in dropped)
    numbers = {index: number for number, index in enumerate(kept)}
    graph.tensors = [tensor for index, tensor in enumerate(graph.tensors) if index not in dropped]
    for holder in (graph, *(graph.operators or [])):
        holder.inputs = [numbers.get(int(index), -1) for index in holder.inputs]
        holder.outputs = [numbers[int(index)] for index in holder.outputs]
    for operator in graph.operators or []:
        if operator.intermediates is not None:
            operator.intermediates = [numbers[int(index)] for index in operator.intermediates]
