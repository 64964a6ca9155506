"""Sums and products of one reshaped tensor with itself, such as the square after a Conv1D, and its bias.

TensorFlow's converter moves an elementwise operator before the reshaping that both its operands come from,
after it has given the tensors their scales, and ends with "'tfl.reshape' op quantization parameters violate
the same scale constraint". Moved before, there is nothing that it could move.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import tensorflow as tf

from tfopt.export.keras_graph.nodes import attribute, node_of

Nodes: TypeAlias = dict[str, Any]

_BINARY = ("Mul", "AddV2", "Add", "Sub")
_RESHAPES = ("Reshape", "Squeeze", "ExpandDims")
_CONVOLUTIONS = ("Conv2D", "Conv2DBackpropInput", "DepthwiseConv2dNative")
_OF_EACH_ELEMENT = ("Identity", "Relu", "Relu6", "LeakyRelu", "Abs", "Neg", "StopGradient")


def combine_before_reshaping(graph_def: tf.compat.v1.GraphDef, quantizers: Sequence[str]) -> None:
    """Compute each sum or product of two operands that are one reshaped tensor before it is reshaped.

    Args:
        graph_def: to change.
        quantizers: the kinds of operation that quantize.
    """
    nodes = {node.name: node for node in graph_def.node}
    elementwise = frozenset((*_OF_EACH_ELEMENT, *quantizers))
    for node in [node for node in graph_def.node if node.op in _BINARY]:
        one, other = (_chain(nodes, name, elementwise) for name in node.input[:2])
        if one is None or other is None:
            continue
        sources = one[-1], other[-1]
        same = sources[0].name == sources[1].name
        if same or (_follows(nodes, *sources) and _same_shapes(graph_def, *sources)):
            _move(graph_def, nodes, node, (one, other))


def add_before_reshaping(graph_def: tf.compat.v1.GraphDef) -> None:
    """Add the bias of a convolution of one dimension and one filter before the axis of one row is removed.

    After that axis the converter takes a bias of one number for a scalar, which it moves into no
    convolution: it leaves both in float.

    Args:
        graph_def: to change.
    """
    nodes = {node.name: node for node in graph_def.node}
    for node in [node for node in graph_def.node if _adds_a_bias(nodes, node)]:
        squeeze, bias = nodes[node_of(node.input[0])], _bias_of(nodes, node)
        size = attribute(bias, "value").tensor.tensor_shape.dim[0].size
        made = nodes[node_of(squeeze.input[0])] if squeeze.op == "Squeeze" else None
        if made is None or made.op not in _CONVOLUTIONS or size != 1:
            continue
        if not _keeps_the_last_axis(nodes, squeeze):
            continue
        after = graph_def.node.add()
        after.CopyFrom(squeeze)
        after.name, node.name = node.name, f"{node.name}/before_reshaping"
        after.input[0] = node.name
        node.op = "BiasAdd"
        node.input[:] = [squeeze.input[0], bias.name]
        node.attr["data_format"].s = b"NHWC"
        for each in (node, after):
            each.attr.pop("_output_shapes", None)
            nodes[each.name] = each


def add_before_batch_to_space(graph_def: tf.compat.v1.GraphDef) -> None:
    """Add the biases of dilated convolutions of one tensor before its pieces are put together again.

    TensorFlow cuts a tensor into pieces for a dilated convolution. Where several convolutions read the same
    pieces, as the two of a gated unit do, the converter makes no dilated operators of them, and leaves a
    convolution in float whose bias comes after the pieces.

    Args:
        graph_def: to change.
    """
    nodes = {node.name: node for node in graph_def.node}
    cuts = Counter(_cut(nodes, node) for node in graph_def.node if node.op == "SpaceToBatchND")
    for node in [node for node in graph_def.node if _adds_a_bias(nodes, node)]:
        joined = nodes[node_of(node.input[0])]
        if joined.op != "BatchToSpaceND":
            continue
        first = nodes[node_of(joined.input[0])]
        made = nodes[node_of(first.input[0])] if first.op == "Squeeze" else first
        if made.op not in _CONVOLUTIONS or (made is not first and not _keeps_the_last_axis(nodes, first)):
            continue
        pieces = nodes[node_of(made.input[0])]
        while pieces.op in ("ExpandDims", "Identity"):
            pieces = nodes[node_of(pieces.input[0])]
        if pieces.op != "SpaceToBatchND" or cuts[_cut(nodes, pieces)] < 2:
            continue
        before = graph_def.node.add(op="BiasAdd", name=f"{node.name}/before_batch_to_space")
        before.input.extend([made.name, _bias_of(nodes, node).name])
        before.attr["T"].CopyFrom(made.attr["T"])
        before.attr["data_format"].s = b"NHWC"
        reader = joined if made is first else first
        reader.input[0] = before.name
        kept = node.name, made.attr["T"].type
        node.Clear()
        node.name, node.op = kept[0], "Identity"
        node.attr["T"].type = kept[1]
        node.input.append(joined.name)


def _cut(nodes: Mapping[str, Any], node: Any) -> tuple[str, bytes | str]:
    """Return what a SpaceToBatchND cuts, padding aside, and into how many pieces."""
    source = nodes[node_of(node.input[0])]
    while source.op in ("Pad", "PadV2", "Identity", "ExpandDims"):
        source = nodes[node_of(source.input[0])]
    pieces = nodes[node_of(node.input[1])]
    return source.name, pieces.attr["value"].SerializeToString() if "value" in pieces.attr else pieces.name


def _follows(nodes: Mapping[str, Any], one: Any, other: Any) -> bool:
    """Return whether one of two reshapings is that of what was made of the other one's output."""
    return _comes_from(nodes, one, other) or _comes_from(nodes, other, one)


def _comes_from(nodes: Mapping[str, Any], one: Any, other: Any) -> bool:
    """Return whether a reshaping is that of what was made of another one's output."""
    while one.input and one.op != "Const":
        one = nodes[node_of(one.input[0])]
        if one.name == other.name:
            return True
    return False


def _same_shapes(graph_def: tf.compat.v1.GraphDef, one: Any, other: Any) -> bool:
    """Return whether two reshapings turn the same shape into the same shape."""
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
    first, second = (graph.get_operation_by_name(node.name) for node in (one, other))
    shapes = [(op.inputs[0].shape.as_list(), op.outputs[0].shape.as_list()) for op in (first, second)]
    return shapes[0] == shapes[1]


def _chain(nodes: Mapping[str, Any], name: str, elementwise: frozenset[str]) -> list[Any] | None:
    """Return what makes a tensor, the last first, up to a reshaping; None where it comes from none."""
    chain = [nodes[node_of(name)]]
    while chain[-1].op not in _RESHAPES:
        if chain[-1].op not in elementwise and not _adds_a_bias(nodes, chain[-1]):
            return None
        chain.append(nodes[node_of(chain[-1].input[0])])
    biases = any(_adds_a_bias(nodes, node) for node in chain)
    return None if biases and not _keeps_the_last_axis(nodes, chain[-1]) else chain


def _adds_a_bias(nodes: Mapping[str, Any], node: Any) -> bool:
    """Return whether a node adds a constant of the last axis, as convolutions of one dimension do."""
    if node.op not in ("BiasAdd", "AddV2") or attribute(node, "data_format").s == b"NCHW":
        return False
    source = _bias_of(nodes, node)
    return source.op == "Const" and len(attribute(source, "value").tensor.tensor_shape.dim) == 1


def _bias_of(nodes: Mapping[str, Any], node: Any) -> Any:
    source = nodes[node_of(node.input[1])]
    while source.op in ("Identity", *_RESHAPES):
        source = nodes[node_of(source.input[0])]
    return source


def _keeps_the_last_axis(nodes: Mapping[str, Any], node: Any) -> bool:
    axes = attribute(node, "squeeze_dims").list.i if node.op == "Squeeze" else ()
    image = nodes[node_of(node.input[0])].op in _CONVOLUTIONS
    return bool(axes) and all(axis < -1 or (image and 0 <= axis < 3) for axis in axes)


def _move(graph_def: tf.compat.v1.GraphDef, nodes: Nodes, node: Any, chains: Sequence[Sequence[Any]]) -> None:
    """Put the chains and `node` before the reshaping; what each makes keeps its name and its readers."""
    reshape = chains[0][-1]
    for position, (*chain, start) in enumerate(chains):
        source = start.input[0]
        for each in reversed(chain):
            # A node that both chains pass is a reshaping by now.
            source = (
                each.input[0] if each.op in _RESHAPES else _put_before(graph_def, nodes, each, start, source)
            )
        node.input[position] = source
    _put_before(graph_def, nodes, node, reshape, node.input[0])


def _put_before(graph_def: tf.compat.v1.GraphDef, nodes: Nodes, node: Any, reshape: Any, source: str) -> str:
    """Make `node` a reshaping of what it computes from `source`; return the name of the latter."""
    before, shaping = graph_def.node.add(), tf.compat.v1.NodeDef()
    shaping.CopyFrom(reshape)
    before.CopyFrom(node)
    before.name = f"{node.name}/before_reshaping"
    before.input[0] = source
    shaping.name = node.name
    shaping.input[0] = before.name
    node.CopyFrom(shaping)
    for each in (before, node):
        each.attr.pop("_output_shapes", None)
        nodes[each.name] = each
    return str(before.name)
