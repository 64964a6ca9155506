"""Tables and einsum layers: weights whose axes may all be channels."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.channels.rule import Call, Layout, Rule, Sizes, fixed, stays, table
from tfopt.channels.rules.activations import activated
from tfopt.channels.rules.linear import is_plain
from tfopt.channels.rules.products import contracted, einsum_labels
from tfopt.graph import Node


def _embedding(call: Call) -> list[Layout]:
    layer = call.operation
    if not is_plain(layer):
        return stays(call, "has a table that is quantized or adapted")
    call.fix(call.inputs[0], "looks rows up by them")
    units = call.fresh(layer.output_dim)
    call.add(layer.embeddings, 1, units, made=True)
    return [Layout((*[None] * len(call.inputs[0].axes), units), zero=True)]


def _reversible(call: Call) -> list[Layout]:
    layer, node = call.operation, call.node
    if not (node.args[1] if len(node.args) > 1 else node.kwargs.get("reverse", False)):
        made = _embedding(call)
        if not layer.tie_weights and is_plain(layer):
            call.add(layer.reverse_embeddings, 0, made[0].axes[-1])
        return made
    if not is_plain(layer):
        return stays(call, "has a table that is quantized or adapted")
    layout = call.inputs[0]
    units = layout.axes[-1]
    call.add(layer.embeddings, 1, units, made=True)
    if not layer.tie_weights:
        call.add(layer.reverse_embeddings, 0, units)
    return [layout.with_axes((*layout.axes[:-1], None), zero=layout.zero)]


def _embedding_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    layer: Any = node.operation
    return {"output_dim": sizes.of_variable(layer.embeddings, 1)} if is_plain(layer) else {}


def _constant(call: Call) -> list[Layout]:
    """Follow a variable of a layer of the user's own: every axis of it may be channels."""
    layer = call.operation
    axes = [
        call.fresh(size) if keras.backend.is_float_dtype(layer.value.dtype) else None for size in layer.shape
    ]
    for layout in call.inputs:
        del layout  # it says only where the layer stands
    for axis, units in enumerate(axes):
        call.add(layer.value, axis, units, made=True)
    return [Layout(tuple(axes), zero=True)]


def _over_batch(call: Call) -> list[Layout]:
    """Follow rows that are repeated for each sample; the other tensor tells how many these are."""
    rows = call.inputs[0]
    return [call.fix(rows, "repeats them", but=range(1, len(rows.axes)))]


def _batch_size(call: Call) -> list[Layout]:
    return [fixed(each) for each in call.node.outputs]


def _constant_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    return {"shape": list(sizes.shape(node.outputs[0]))}


def _einsum_dense(call: Call) -> list[Layout]:
    layer, layout, tensor = call.operation, call.inputs[0], call.node.inputs[0]
    if not is_plain(layer):
        return stays(call, "has a kernel that is quantized or adapted")
    kernel = layer.kernel
    (inputs, weights), output = einsum_labels(layer.equation, [len(tensor.shape), len(kernel.shape)])
    along = {label: layout.axes[axis] for axis, label in enumerate(inputs)}
    units = [
        along[label] if label in along else call.fresh(kernel.shape[axis])
        for axis, label in enumerate(weights)
    ]
    for axis, label in enumerate(weights):
        call.add(kernel, axis, units[axis], made=label not in along)
    operands = [(layout, tensor.shape, inputs), (Layout(tuple(units), zero=True), kernel.shape, weights)]
    result = contracted(call, operands, output)
    if layer.bias is not None:
        missing = len(output) - len(layer.bias.shape)
        held = set()
        for axis, size in enumerate(layer.bias.shape):
            label = output[axis + missing]
            if size > 1 and result.axes[axis + missing] is not None:
                call.add(layer.bias, axis, result.axes[axis + missing], made=label not in along)
                held.add(label)
        zero = all(units is None or output[axis] in held for axis, units in enumerate(result.axes))
        result = result.with_axes(result.axes, result.zero and zero)
    return [activated(call, result, layer.activation)]


def _einsum_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    layer: Any = node.operation
    given = layer.get_config()["output_shape"]
    given = [given] if isinstance(given, int) else list(given)
    start = len(node.outputs[0].shape) - len(given)
    axes, shape = sizes.axes(node.outputs[0])[start:], sizes.shape(node.outputs[0])[start:]
    return {
        "output_shape": tuple(
            size if units is None else count for size, units, count in zip(given, axes, shape, strict=True)
        )
    }


LAYERS = table(
    {
        "Embedding": Rule(_embedding, _embedding_config),
        "ReversibleEmbedding": Rule(_reversible, _embedding_config),
        "Constant": Rule(_constant, _constant_config),
        "OverBatch": Rule(_over_batch),
        "BatchSize": Rule(_batch_size),
        "EinsumDense": Rule(_einsum_dense, _einsum_config),
    }
)
