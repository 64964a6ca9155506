"""Keeping in float what a plan leaves in float, whatever the converter would like to quantize.

At each boundary of a part in float there is an operation for which the converter has no integer kernel. It
changes values, and `tfopt.export.passes.remove_barriers` takes it out of the file that the converter writes.

In the body of a loop and in the branches of a condition, which are in float as a whole, there is one after
each operation whose integer range TFLite prescribes too: the converter would round the outputs of such an
operation to that range, though it is quantized nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfopt.errors import ConversionError
from tfopt.export.keras_graph.barriers.shared_kernels import SHARED
from tfopt.export.keras_graph.nodes import attribute, node_of
from tfopt.quantization.planning.float_boundary import MARK

_BARRIERS = {"Ceil": "CEIL", "Cos": "COS", "Sin": "SIN", "Floor": "FLOOR", "Round": "ROUND"}
"""Operations without an integer kernel -> the operator of the file that each becomes."""

_PRESCRIBED = ("Sigmoid", "Tanh", "Softmax", "LogSoftmax")
"""Operations whose outputs the converter rounds unasked where a function returns them."""


def insert_barriers(graph_def: tf.compat.v1.GraphDef, *, kept: bool) -> str | None:
    """Make barriers of the boundaries in a frozen graph; return the operator to take out of the file again.

    Args:
        graph_def: to change.
        kept: whether there are integers to keep apart; a model in float has their boundaries of no use.
            Those after shared kernels are kept.

    Returns:
        The name of the operator in TFLite's schema; None where the graph has no boundaries.

    Raises:
        ConversionError: the model itself has every operation that could be one.
    """
    boundaries = _marked(graph_def, MARK)
    if kept and boundaries:
        boundaries += _after_prescribed(graph_def)
    shared = _marked(graph_def, SHARED)
    computed = _computed(graph_def)
    # What is constant is computed by the converter: a barrier would change its values for good.
    needed = {node.name for node in [*(boundaries if kept else ()), *shared] if node.name in computed}
    kind = _unused(graph_def) if needed else ""
    for node in [*boundaries, *shared]:
        node.attr.pop("message", None)
        node.op = kind if node.name in needed else "Identity"
    return _BARRIERS[kind] if needed else None


def _marked(graph_def: tf.compat.v1.GraphDef, mark: bytes) -> list[tf.compat.v1.NodeDef]:
    """Return the boundaries that say of themselves what `mark` says."""
    return [
        node
        for node in graph_def.node
        if node.op == "PreventGradient" and attribute(node, "message").s == mark
    ]


def _after_prescribed(graph_def: tf.compat.v1.GraphDef) -> list[tf.compat.v1.NodeDef]:
    """Put a boundary after each operation of a loop or a condition whose range is prescribed."""
    inside = _reached(graph_def, ("Enter", "Switch"), until=("Exit", "Merge"))
    made = {}
    for node in [node for node in graph_def.node if node.op in _PRESCRIBED and node.name in inside]:
        boundary = graph_def.node.add(name=f"{node.name}/boundary", op="PreventGradient", input=[node.name])
        boundary.attr["T"].type = attribute(node, "T").type
        made[node.name] = boundary
    boundaries = {boundary.name for boundary in made.values()}
    for node in graph_def.node:
        if node.name not in boundaries:
            node.input[:] = [made[name].name if name in made else name for name in node.input]
    return list(made.values())


def _computed(graph_def: tf.compat.v1.GraphDef) -> set[str]:
    """Return the names of the nodes that depend on an input of the graph."""
    return _reached(graph_def, ("Placeholder",))


def _reached(graph_def: tf.compat.v1.GraphDef, start: Sequence[str], until: Sequence[str] = ()) -> set[str]:
    """Return the names of the nodes of the operations `start`, and of what depends on them.

    Args:
        graph_def: the graph.
        start: operations.
        until: operations whose readers are not followed.
    """
    readers: dict[str, list[tf.compat.v1.NodeDef]] = {}
    for node in graph_def.node:
        for name in node.input:
            readers.setdefault(node_of(name), []).append(node)
    left = [node for node in graph_def.node if node.op in start]
    found = {node.name for node in left}
    while left:
        for reader in readers.get(left.pop().name, ()):
            if reader.name not in found and reader.op not in until:
                found.add(reader.name)
                left.append(reader)
    return found


def _unused(graph_def: tf.compat.v1.GraphDef) -> str:
    functions = (function.node_def for function in graph_def.library.function)
    present = {node.op for nodes in (graph_def.node, *functions) for node in nodes}
    found = next((kind for kind in _BARRIERS if kind not in present), None)
    if found is None:
        raise ConversionError(
            f"The model computes {', '.join(_BARRIERS)}, all of them: then nothing is left that keeps apart "
            "what a rule leaves in float. Take the rules with None out of quantize_aware's, or one of these "
            "operations out of the model."
        )
    return found
