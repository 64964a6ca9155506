"""Keeping in float the means that a layer in float takes of a quantized tensor.

TensorFlow's converter gives a MEAN of an integer tensor that tensor's own scale, though nobody asked for
integers there: LayerNormalization would subtract a mean rounded to whole steps, and be off by as much.
It has no rule for a negation, so the mean of the negated tensor stays in float.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow as tf

from tfopt.export.keras_graph.nodes import attribute, node_of

_PASSES_ON = ("Identity", "Reshape", "Squeeze", "ExpandDims", "StopGradient")
_AVERAGES = ("Mean",)


def keep_means_in_float(graph_def: tf.compat.v1.GraphDef, quantizers: Iterable[str]) -> None:
    """Make `-mean(-x)` of each `mean(x)` whose input is quantized and whose output is not.

    Args:
        graph_def: to change.
        quantizers: the kinds of operation that quantize.
    """
    quantizers = frozenset(quantizers)
    nodes = {node.name: node for node in graph_def.node}
    readers: dict[str, list[Any]] = {}
    for node in graph_def.node:
        for name in node.input:
            readers.setdefault(node_of(name), []).append(node)
    for mean in [node for node in graph_def.node if node.op in _AVERAGES]:
        before = nodes[node_of(mean.input[0])]
        while before.op in _PASSES_ON:
            before = nodes[node_of(before.input[0])]
        if before.op in quantizers and not any(x.op in quantizers for x in _after(mean.name, readers)):
            _negate(graph_def, mean)


def _after(name: str, readers: dict[str, list[Any]]) -> Iterator[Any]:
    """Yield what reads a node, also through what only passes its values on."""
    for node in readers.get(name, ()):
        yield node
        if node.op in _PASSES_ON:
            yield from _after(node.name, readers)


def _negate(graph_def: tf.compat.v1.GraphDef, mean: Any) -> None:
    """Put a negation before and after; what reads the mean finds it under its old name."""
    name, kind = mean.name, attribute(mean, "T").type
    before, after = graph_def.node.add(), graph_def.node.add()
    for node, given in ((before, mean.input[0]), (after, f"{name}/of_negated")):
        node.op = "Neg"
        node.input.append(given)
        node.attr["T"].type = kind
    before.name, after.name = f"{name}/negated", name
    mean.name = f"{name}/of_negated"
    mean.input[0] = before.name
