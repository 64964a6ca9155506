"""Products of tensors: matrices, einsums, convolutions and attention that users' code calls as operations.

Axes that are multiplied and summed are united, one by one. Where a unit is removed that a sum goes over, the
sum stays what it was if one of the factors was zero there.
"""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Sequence
from typing import Any

import keras
import numpy as np

from tfopt.channels.rule import Call, Layout, Rule, Sizes, stays, table
from tfopt.channels.rules.linear import channel_axis
from tfopt.graph import Node

Labels = Sequence[Hashable]


def contracted(call: Call, operands: Sequence[tuple[Layout, Any, Labels]], output: Labels) -> Layout:
    """Return the layout of a product of tensors that is summed over some of their axes.

    Args:
        call: of the product.
        operands: the layout, the sizes and a label for each axis.
        output: the labels of the axes of the result; the sum goes over the others.
    """
    axes: dict[Hashable, np.ndarray | None] = {}
    widths: dict[Hashable, Any] = {}
    for _, sizes, labels in operands:
        for label, size in zip(labels, sizes, strict=True):
            widths[label] = size if widths.get(label, 1) == 1 else widths[label]
    for layout, sizes, labels in operands:
        for label, size, units in zip(labels, sizes, layout.axes, strict=True):
            if size == 1 != widths[label]:  # it is repeated
                if units is not None:
                    call.units.fix(units, f"{call.name} repeats it")
            elif label in axes:
                axes[label] = call.unite(axes[label], units)
            else:
                axes[label] = units
    zeros = []
    for label, united in axes.items():
        if united is None:
            continue
        zero = any(
            layout.zero and label in labels and layout.axes[list(labels).index(label)] is not None
            for layout, _, labels in operands
        )
        if label in output:
            zeros.append(zero)
        elif not zero:
            call.units.make_inexact(united)
    return Layout(tuple(axes.get(label) for label in output), all(zeros))


def _operand(call: Call, value: Any, labels: Labels) -> tuple[Layout, Any, Labels]:
    return call.layout(value), value.shape, labels


def _are_tensors(values: Sequence[Any]) -> bool:
    return all(hasattr(value, "shape") for value in values)


def einsum_labels(equation: str, ranks: Sequence[int]) -> tuple[list[list[Hashable]], list[Hashable]]:
    """Return the labels of the axes of each operand of an equation, and of its result.

    Args:
        equation: with an arrow or without; an ellipsis stands for any axes.
        ranks: of the operands.
    """
    left, arrow, right = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    operands = []
    for term, rank in zip(terms, ranks, strict=True):
        before, dots, after = term.partition("...")
        count = rank - len(before) - len(after) if dots else 0
        operands.append([*before, *range(-count, 0), *after])
    most = max((sum(isinstance(label, int) for label in labels) for labels in operands), default=0)
    if not arrow:
        letters = "".join(terms).replace(".", "")
        right = "..." * ("." in left) + "".join(sorted(x for x in set(letters) if letters.count(x) == 1))
    before, dots, after = right.partition("...")
    return operands, [*before, *(range(-most, 0) if dots else ()), *after]


def _einsum(call: Call) -> list[Layout]:
    values = call.node.args
    if not _are_tensors(values):
        return stays(call, "multiplies them with what is no tensor")
    labels, output = einsum_labels(call.operation.subscripts, [len(value.shape) for value in values])
    if any(len(set(each)) < len(each) for each in labels):
        return stays(call, "takes a diagonal")
    operands = [_operand(call, value, each) for value, each in zip(values, labels, strict=True)]
    return [contracted(call, operands, output)]


def _two(node: Node) -> tuple[Any, Any]:
    values = [*node.args, *node.kwargs.values()]
    return values[0], values[1]


def _matmul(call: Call) -> list[Layout]:
    first, second = _two(call.node)
    if not _are_tensors((first, second)):
        return stays(call, "multiplies them with what is no tensor")
    ranks = len(first.shape), len(second.shape)
    batch = [range(2 - rank, 0) for rank in ranks]
    one = [*batch[0], *("rows",) * (ranks[0] > 1), "sum"]
    other = [*batch[1], "sum", *("columns",) * (ranks[1] > 1)]
    longest = max(batch, key=len)
    output = [*longest, *("rows",) * (ranks[0] > 1), *("columns",) * (ranks[1] > 1)]
    operands = [_operand(call, first, one), _operand(call, second, other)]
    return [contracted(call, operands, output)]


def _product_over(call: Call, pairs: Sequence[tuple[int, int]]) -> list[Layout]:
    """Follow a product summed over pairs of axes, whose other axes come one after another."""
    first, second = _two(call.node)
    one: list[Hashable] = [("first", axis) for axis in range(len(first.shape))]
    other: list[Hashable] = [("second", axis) for axis in range(len(second.shape))]
    for a, b in pairs:
        other[b % len(other)] = one[a % len(one)]
    left = [label for label in one if label not in other]
    output = left + [label for label in other if label not in one]
    return [contracted(call, [_operand(call, first, one), _operand(call, second, other)], output)]


def _dot(call: Call) -> list[Layout]:
    first, second = _two(call.node)
    if not _are_tensors((first, second)) or not first.shape or not second.shape:
        return stays(call, "multiplies them with a number")
    return _product_over(call, [(-1, -2 if len(second.shape) > 1 else -1)])


def _tensordot(call: Call) -> list[Layout]:
    first, second = _two(call.node)
    if not _are_tensors((first, second)):
        return stays(call, "multiplies them with what is no tensor")
    axes = call.operation.axes
    if isinstance(axes, int):
        return _product_over(call, [(axis - axes, axis) for axis in range(axes)])
    one, other = ([each] if isinstance(each, int) else list(each) for each in axes)
    return _product_over(call, list(zip(one, other, strict=True)))


def _dot_layer(call: Call) -> list[Layout]:
    layer, (first, second) = call.operation, call.node.inputs
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else layer.axes
    one: list[Hashable] = ["batch", *(("first", axis) for axis in range(1, len(first.shape)))]
    other: list[Hashable] = ["batch", *(("second", axis) for axis in range(1, len(second.shape)))]
    a, b = axes[0] % len(one), axes[1] % len(other)
    if layer.normalize:
        for layout, axis in zip(call.inputs, (a, b), strict=True):
            if not layout.zero and (units := layout.axes[axis]) is not None:
                call.units.make_inexact(units)
    other[b] = one[a]
    output = [label for label in one if label != one[a]] + [each for each in other if each not in one]
    layout = contracted(call, [_operand(call, first, one), _operand(call, second, other)], output)
    missing = len(call.node.outputs[0].shape) - len(layout.axes)
    return [layout.with_axes([*layout.axes, *[None] * missing])]


def _convolution(call: Call) -> list[Layout]:
    x, kernel = _two(call.node)
    rank = len(x.shape)
    axis = channel_axis(call.operation, rank)
    if len(call.inputs) != 2 or kernel.shape[-2] != x.shape[axis]:
        return stays(call, "convolves them in groups or with a constant kernel")
    layout = call.fix(call.layout(x), "reads windows along their axis", but=[axis])
    weights = call.fix(call.layout(kernel), "reads windows along their axis", but=[-2, -1])
    return [_read(call, layout, axis, weights, -2, -1)]


def _read(call: Call, layout: Layout, axis: int, weights: Layout, inputs: int, outputs: int) -> Layout:
    """Return the layout of a convolution that reads and makes channels along two axes of a kernel."""
    united = call.unite(layout.axes[axis], weights.axes[inputs])
    if united is not None and not (layout.zero or weights.zero):
        call.units.make_inexact(united)
    axes = list(layout.axes)
    axes[axis] = weights.axes[outputs]
    return Layout(tuple(axes), weights.zero)


def _transposed(call: Call) -> list[Layout]:
    x, kernel = _two(call.node)
    axis = channel_axis(call.operation, len(x.shape))
    if len(call.inputs) != 2:
        return stays(call, "convolves them with a constant kernel")
    layout = call.fix(call.layout(x), "reads windows along their axis", but=[axis])
    weights = call.fix(call.layout(kernel), "reads windows along their axis", but=[-2, -1])
    return [_read(call, layout, axis, weights, -1, -2)]


def _depthwise(call: Call) -> list[Layout]:
    x, kernel = _two(call.node)
    axis = channel_axis(call.operation, len(x.shape))
    layout = call.fix(call.layout(x), "reads windows along their axis", but=[axis])
    weights = call.fix(call.layout(kernel), "reads windows along their axis", but=[-2])
    units = call.unite(layout.axes[axis], weights.axes[-2])
    axes = list(layout.axes)
    axes[axis] = None if units is None else np.repeat(units, kernel.shape[-1])
    return [Layout(tuple(axes), layout.zero or weights.zero)]


_ATTENTION = inspect.signature(keras.ops.dot_product_attention)


def _attention(call: Call) -> list[Layout]:
    """Follow scaled attention of heads: (batch, queries, heads, width) with (batch, keys, heads, width)."""
    given = _ATTENTION.bind(*call.node.args, **call.node.kwargs).arguments
    query, key, value = (given[name] for name in ("query", "key", "value"))
    if not all(isinstance(each, keras.KerasTensor) for each in (query, key, value)):
        return stays(call, "attends to arrays")
    layouts = [
        call.fix(call.layout(each), "attends along their axis", but=[-2, -1]) for each in (query, key, value)
    ]
    heads, width = ([layout.axes[axis] for layout in layouts] for axis in (-2, -1))
    alike = query.shape[-2] == key.shape[-2] == value.shape[-2]
    for name in ("bias", "mask"):
        each = given.get(name)
        if each is not None:
            alike = alike and (len(each.shape) < 3 or each.shape[-3] == 1)
            if isinstance(each, keras.KerasTensor):
                call.fix(call.layout(each), "adds them to the scores of others")
    united = [
        call.unite(call.unite(axes[0], axes[1]), axes[2])
        for axes in ((heads if alike else []), width)
        if axes
    ]
    if not alike:
        for units in heads:
            if units is not None:
                call.units.fix(units, f"{call.name} shares heads, or has a mask for each")
    if united[-1] is not None and not (layouts[0].zero or layouts[1].zero):
        call.units.make_inexact(united[-1])
    axes = (*layouts[0].axes[:-2], united[0] if alike else None, united[-1])
    return [Layout(axes, layouts[2].zero)]


def _attention_arguments(
    sizes: Sizes, node: Node, args: tuple, kwargs: dict[str, Any]
) -> tuple[tuple, dict[str, Any]]:
    """Name the scale, which is that of the width by default."""
    width = node.inputs[0].shape[-1]
    given = _ATTENTION.bind(*args, **kwargs).arguments
    if given.get("scale") is None and width is not None and sizes.shape(node.inputs[0])[-1] != width:
        return (), {**given, "scale": width**-0.5}
    return args, kwargs


OPERATIONS = table(
    {
        "Einsum": Rule(_einsum),
        "Matmul": Rule(_matmul),
        "Dot": Rule(_dot),
        "Tensordot": Rule(_tensordot),
        "Conv": Rule(_convolution),
        "ConvTranspose": Rule(_transposed),
        "DepthwiseConv": Rule(_depthwise),
        "DotProductAttention": Rule(_attention, arguments=_attention_arguments),
    }
)
LAYERS = table({"Dot": Rule(_dot_layer)})
