"""What functions of `keras.ops` multiply by weights: each sum of products is one size after another."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import keras

from tfopt import graph

Positions: TypeAlias = tuple[tuple[Any, int], ...]
"""Tensor and axis, whose sizes multiplied are how many positions, or multiply-accumulates, there are."""

_Function: TypeAlias = Callable[[graph.Node, set[int]], list[Positions]]


def batch_axis(node: graph.Node) -> int:
    """Return the axis of the output that the samples lie along: the first of open size, or the first."""
    shape = node.outputs[0].shape
    return shape.index(None) if None in shape else 0


def _operands(node: graph.Node) -> list[Any]:
    """Return what a function is called with, in the order of its parameters."""
    bound = inspect.signature(node.operation.call).bind(*node.args, **node.kwargs)
    return keras.tree.flatten(list(bound.arguments.values()))


def _by_weights(operands: list[Any], constant: set[int]) -> bool:
    """Return whether some operand is made of weights or constants alone; not all are, or none is counted."""
    return any(not isinstance(x, keras.KerasTensor) or id(x) in constant for x in operands)


def _outputs(node: graph.Node) -> Positions:
    """Return the axes of the output, the batch's left out."""
    output = node.outputs[0]
    return tuple((output, axis) for axis in range(len(output.shape)) if axis != batch_axis(node))


def _summed(axes: Callable[[graph.Node, Any], list[int]]) -> _Function:
    """Return the function of operations that sum over axes of their first operand."""

    def positions(node: graph.Node, constant: set[int]) -> list[Positions]:
        first, *others = _operands(node)
        if not _by_weights([first, *others[:1]], constant):
            return []
        return [_outputs(node) + tuple((first, axis) for axis in axes(node, first))]

    return positions


def _last(node: graph.Node, first: Any) -> list[int]:  # noqa: ARG001 (as all of its kind)
    return [len(first.shape) - 1]


def _tensordot_axes(node: graph.Node, first: Any) -> list[int]:
    axes: Any = getattr(node.operation, "axes", 2)
    rank = len(first.shape)
    if isinstance(axes, int):
        return list(range(rank - axes, rank))
    summed = [axes[0]] if isinstance(axes[0], int) else list(axes[0])
    return [axis % rank for axis in summed]


def _einsum(node: graph.Node, constant: set[int]) -> list[Positions]:
    """Return each label once, from an operand that has it; that of the batch is left out."""
    operands = _operands(node)
    if not _by_weights(operands, constant):
        return []
    inputs, _, output = node.operation.subscripts.replace(" ", "").partition("->")
    sizes: dict[str, tuple[Any, int]] = {}
    for labels, tensor in zip(inputs.split(","), operands, strict=True):
        sizes |= {label: (tensor, axis) for axis, label in enumerate(_labels(labels, len(tensor.shape)))}
    made = _labels(output, len(node.outputs[0].shape))
    batch = made[batch_axis(node)] if made else ""
    return [tuple(where for label, where in sizes.items() if label != batch)]


def _labels(labels: str, rank: int) -> list[str]:
    """Return a label for each axis; those of an ellipsis are numbered from the last."""
    before, ellipsis, after = labels.partition("...")
    more = rank - len(before) - len(after) if ellipsis else 0
    return [*before, *(str(number) for number in range(more, 0, -1)), *after]


def _convolution(node: graph.Node, constant: set[int]) -> list[Positions]:
    x, kernel = _operands(node)[:2]
    if not _by_weights([x, kernel], constant):
        return []
    return [_outputs(node) + tuple((kernel, axis) for axis in range(len(kernel.shape) - 1))]


def _depthwise(node: graph.Node, constant: set[int]) -> list[Positions]:
    x, kernel = _operands(node)[:2]
    if not _by_weights([x, kernel], constant):
        return []
    return [_outputs(node) + tuple((kernel, axis) for axis in range(len(kernel.shape) - 2))]


def _separable(node: graph.Node, constant: set[int]) -> list[Positions]:
    x, depthwise, pointwise = _operands(node)[:3]
    if not _by_weights([x, depthwise, pointwise], constant):
        return []
    first = getattr(node.operation, "data_format", None) == "channels_first"
    channels = 1 if first else len(node.outputs[0].shape) - 1
    pixels = tuple((tensor, axis) for tensor, axis in _outputs(node) if axis != channels)
    return [
        pixels + tuple((kernel, axis) for axis in range(len(kernel.shape)))
        for kernel in (depthwise, pointwise)
    ]


def _transposed(node: graph.Node, constant: set[int]) -> list[Positions]:
    """Each weight is used once for every position of the input."""
    x, kernel = _operands(node)[:2]
    if not _by_weights([x, kernel], constant):
        return []
    read = tuple((x, axis) for axis in range(1, len(x.shape)))
    return [read + tuple((kernel, axis) for axis in range(len(kernel.shape) - 1))]


FUNCTIONS: dict[str, _Function] = {
    "Matmul": _summed(_last),
    "Dot": _summed(_last),
    "Inner": _summed(_last),
    "Tensordot": _summed(_tensordot_axes),
    "Einsum": _einsum,
    "Conv": _convolution,
    "DepthwiseConv": _depthwise,
    "SeparableConv": _separable,
    "ConvTranspose": _transposed,
}
"""Name of an operation -> what returns the sizes of its sums of products, none where both are activations."""
