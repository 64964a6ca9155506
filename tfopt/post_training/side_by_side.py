"""Running a float model and the one that is being quantized side by side, operation by operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from tfopt import graph
from tfopt.graph import Node
from tfopt.post_training.copies import uses


@dataclass(frozen=True)
class Call:
    """One operation that is about to be run in both models.

    Attributes:
        path: of the operation.
        float_node, rounded_node: the call in the float model, and that in the one being quantized.
        float_arguments, rounded_arguments: (args, kwargs), with what has come through each model so far.
    """

    path: str
    float_node: Node
    rounded_node: Node
    float_arguments: tuple[tuple, dict[str, Any]]
    rounded_arguments: tuple[tuple, dict[str, Any]]


def side_by_side(exact: keras.Model, rounded: keras.Model, arrays: Sequence[Any]) -> Iterator[Call]:
    """Run two flat copies of one model, and let the caller change each layer of `rounded` before it runs.

    What no later operation reads is forgotten, so that memory holds few layers' activations at a time.

    Args:
        exact: the float model.
        rounded: the model being quantized; whoever takes a `Call` may change the weights of its operation.
        arrays: one an input, samples first.
    """
    values = {
        id(tensor): keras.ops.convert_to_tensor(array, dtype=tensor.dtype)
        for model in (exact, rounded)
        for tensor, array in zip(model.inputs, arrays, strict=True)
    }
    left = Counter(uses(exact) + uses(rounded))
    for pair in zip(graph.nodes(exact), graph.nodes(rounded), strict=True):
        arguments = [_filled(node, values) for node in pair]
        yield Call(pair[0].path, *pair, *arguments)
        for node, (args, kwargs) in zip(pair, arguments, strict=True):
            results = keras.tree.flatten(node.operation(*args, **kwargs))
            values.update({id(tensor): result for tensor, result in zip(node.outputs, results, strict=True)})
            for tensor in node.inputs:
                left[id(tensor)] -= 1
                if not left[id(tensor)]:
                    values.pop(id(tensor), None)


def _filled(node: Node, values: dict[int, Any]) -> tuple[tuple, dict[str, Any]]:
    def fill(value: Any) -> Any:
        return values[id(value)] if isinstance(value, keras.KerasTensor) else value

    return keras.tree.map_structure(fill, (node.args, node.kwargs))
