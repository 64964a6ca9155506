"""Layers of attention: heads are units inside of them, and their widths are channels as in dense layers."""

from __future__ import annotations

import inspect
import math
from typing import Any

import keras
import numpy as np

from tfopt.channels.rule import Call, Layout, Rule, Sizes, fixed, stays, table
from tfopt.graph import Node, attention_projections, inner_layers


def _tensors(call: Call) -> dict[str, Any]:
    """Return the tensors that an attention layer is called with, by the names of its arguments."""
    given = inspect.signature(call.operation.call).bind(*call.node.args, **call.node.kwargs).arguments
    return {name: value for name, value in given.items() if isinstance(value, keras.KerasTensor)}


def _read(call: Call, given: dict[str, Any]) -> dict[str, Layout] | None:
    """Return the layouts of query, key and value; other axes of theirs stay. None where one is an array."""
    key = given.get("key", given.get("value"))
    tensors = {"query": given.get("query"), "key": key, "value": given.get("value")}
    if any(tensor is None for tensor in tensors.values()):
        return None
    layouts = {}
    for name, tensor in tensors.items():
        layouts[name] = call.fix(call.layout(tensor), "attends along their axis", but=[-1])
    for name in given.keys() - tensors.keys():
        call.fix(call.layout(given[name]), "masks scores by them")
    return layouts


def _has_own_masks(given: dict[str, Any], heads: int) -> bool:
    """Return whether each head has a mask of its own."""
    mask = given.get("attention_mask")
    return mask is not None and len(mask.shape) > 3 and mask.shape[1] == heads


def _project(call: Call, dense: Any, inputs: Any, heads: Any, inside: Any = None) -> None:
    """Note the slices of a projection to heads: (width, heads, width of a head)."""
    call.add(dense.kernel, 0, inputs)
    call.add(dense.kernel, 1, heads, made=True)
    call.add(dense.bias, 0, heads, made=True)
    call.add(dense.kernel, 2, inside, made=True)
    call.add(dense.bias, 1, inside, made=True)


def _with_scores(call: Call, output: Layout, heads: Any) -> list[Layout]:
    scores = [fixed(each) for each in call.node.outputs[1:]]
    return [output, *(each.with_axes((None, heads, *each.axes[2:])) for each in scores)]


def _multi_head(call: Call) -> list[Layout]:
    layer, given = call.operation, _tensors(call)
    layouts = _read(call, given)
    if layouts is None or any(getattr(each, "lora_enabled", False) for each in inner_layers(layer)):
        return stays(call, "attends to arrays, or has adapted kernels")
    inner = attention_projections(layer)
    scored = len(call.node.outputs) > 1 and len(call.node.outputs[1].shape) != 4
    own = scored or _has_own_masks(given, layer.num_heads)
    heads = None if own else call.fresh(layer.num_heads)
    # The places inside of a head that queries and keys are compared at, and those of values; of all heads.
    compared, valued = call.fresh(layer.key_dim), call.fresh(layer.value_dim)
    for name in ("query", "key", "value"):
        _project(call, inner[name], layouts[name].axes[-1], heads, valued if name == "value" else compared)
    if "gate" in inner:
        _project(call, inner["gate"], layouts["query"].axes[-1], heads, valued)
    project = inner["attention_output"]
    call.add(project.kernel, 0, heads)
    call.add(project.kernel, 1, valued)
    rank = len(layouts["query"].axes)
    width = call.fresh(project.kernel.shape[-1]) if len(project.kernel.shape) == 3 else None
    call.add(project.kernel, -1, width, made=True)
    call.add(project.bias, -1, width, made=True)
    axes = [*layouts["query"].axes[:-1], width]
    missing = len(call.node.outputs[0].shape) - rank
    return _with_scores(call, Layout((*axes, *[None] * missing), zero=True), heads)


def _multi_head_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    layer: Any = node.operation
    inner = attention_projections(layer)
    kernel = inner["attention_output"].kernel
    config: dict[str, Any] = {
        "num_heads": sizes.of_variable(kernel, 0),
        "key_dim": sizes.of_variable(inner["query"].kernel, 2),
        "value_dim": sizes.of_variable(kernel, 1),
    }
    if len(kernel.shape) == 3:  # by default it is that of the query, which may be another now
        config["output_shape"] = (sizes.shape(node.outputs[0])[-1],)
    return config


def _multi_head_factors(sizes: Sizes, node: Node) -> dict[int, float]:
    """Return the factors of the query: scores are divided by the root of the width, which is another now."""
    layer: Any = node.operation
    query = attention_projections(layer)["query"]
    factor = math.sqrt(sizes.of_variable(query.kernel, 2) / layer.key_dim)
    return {id(variable): factor for variable in (query.kernel, query.bias) if variable is not None}


def _grouped_query(call: Call) -> list[Layout]:
    """Follow attention in which several heads of the query share one of key and value, and go with it."""
    layer, given = call.operation, _tensors(call)
    layouts = _read(call, given)
    if layouts is None or any(getattr(each, "lora_enabled", False) for each in inner_layers(layer)):
        return stays(call, "attends to arrays, or has adapted kernels")
    inner = attention_projections(layer)
    shared = None if _has_own_masks(given, layer.num_query_heads) else call.fresh(layer.num_key_value_heads)
    heads = None if shared is None else np.repeat(shared, layer.num_query_heads // layer.num_key_value_heads)
    for name in ("query", "gate"):
        if name in inner:
            _project(call, inner[name], layouts["query"].axes[-1], heads)
    for name in ("key", "value"):
        _project(call, inner[name], layouts[name].axes[-1], shared)
    project, width = inner["attention_output"], layouts["query"].axes[-1]
    call.add(project.kernel, 0, heads)
    call.add(project.kernel, 2, width, made=True)  # Keras gives the output the width of the query
    call.add(project.bias, 0, width, made=True)
    return _with_scores(call, Layout(layouts["query"].axes, zero=True), heads)


def _grouped_query_config(sizes: Sizes, node: Node) -> dict[str, Any]:
    inner = attention_projections(node.operation)
    return {
        "num_query_heads": sizes.of_variable(inner["query"].kernel, 1),
        "num_key_value_heads": sizes.of_variable(inner["key"].kernel, 1),
    }


def _single_head(call: Call) -> list[Layout]:
    """Follow `Attention` and `AdditiveAttention`: query and key have the same channels."""
    layer = call.operation
    inputs = call.node.args[0] if call.node.args else call.node.kwargs["inputs"]
    query, value, key = inputs[0], inputs[1], inputs[2] if len(inputs) > 2 else inputs[1]
    if not all(isinstance(each, keras.KerasTensor) for each in (query, value, key)):
        return stays(call, "attends to arrays")
    layouts = [
        call.fix(call.layout(each), "attends along their axis", but=[-1]) for each in (query, key, value)
    ]
    units = call.unite(layouts[0].axes[-1], layouts[1].axes[-1], "compares them with channels that stay")
    additive = type(layer).__name__ == "AdditiveAttention"
    zeros = [layout.zero for layout in layouts[:2]]
    exact = all(zeros) if additive or layer.score_mode == "concat" else any(zeros)
    if additive and layer.use_scale:
        call.add(layer.scale, 0, units)
        exact = True
    if units is not None and not exact:
        call.units.make_inexact(units)
    output = Layout((*layouts[0].axes[:-1], layouts[2].axes[-1]), layouts[2].zero)
    return [output, *map(fixed, call.node.outputs[1:])]


LAYERS = table(
    {
        "MultiHeadAttention": Rule(_multi_head, _multi_head_config, factors=_multi_head_factors),
        "GroupedQueryAttention": Rule(_grouped_query, _grouped_query_config),
        "Attention AdditiveAttention": Rule(_single_head),
    }
)
