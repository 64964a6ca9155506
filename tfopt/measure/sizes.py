"""The sizes of the tensors of a model, for one sample."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.errors import InvalidArgumentError


class Sizes:
    """How large the tensors of a model are for one sample.

    Mostly Keras knows. Where code moves windows or heads into the axis of the samples, or a layer was told no
    size, as an EinsumDense with None in its `output_shape`, the model runs once on a sample of zeros.

    Args:
        model: functional; without nested models, or without calls that are `is_open`.
    """

    def __init__(self, model: keras.Model) -> None:
        self._known: dict[int, tuple[int, ...]] = {}
        if all(None not in tensor.shape[1:] for tensor in model.inputs) and any(
            is_open(node) for node in graph.nodes(model)
        ):
            self._known = _of_one_sample(model)

    def of(self, path: str, tensor: Any, axis: int) -> int:
        """Return the size of a tensor along an axis.

        Args:
            path: of the call that the size is asked for.
            tensor: symbolic, or an array or variable.
            axis: any but the batch's.

        Raises:
            InvalidArgumentError: it is unknown.
        """
        size = self._known.get(id(tensor), tensor.shape)[axis]
        if size is None:
            raise InvalidArgumentError(
                f"The multiply-accumulates of {path!r} depend on a size that the model leaves open: its "
                f"tensor has the shape {tuple(tensor.shape)}. Build the model with a fixed input shape."
            )
        return int(size)

    def rows(self, tensor: keras.KerasTensor) -> int:
        """Return the size of the axis of the samples, the first: 1, or as many as code moved there."""
        return math.prod(self._known.get(id(tensor), (1,))[:1])  # of a number 1


def is_open(node: graph.Node) -> bool:
    """Return whether Keras does not know how large the outputs of a call are for one sample."""
    if any(None in tensor.shape[1:] for tensor in node.outputs):
        return True
    if "reshape" not in type(node.operation).__name__.lower() or len(node.inputs) != 1:
        return False
    before, after = (math.prod(tensor.shape[1:]) for tensor in (*node.inputs, *node.outputs))
    return before != after


def _of_one_sample(model: keras.Model) -> dict[int, tuple[int, ...]]:
    """Return `id` of each tensor -> its shape where the model runs on one sample."""
    shapes: list[tuple[int, ...]] = []

    def visit(step: graph.EvaluatedStep, value: Any) -> Any:
        if step.operation is not None:
            shapes.append(tuple(value.shape))
        return value

    samples = [
        np.full((1, *tensor.shape[1:]), "" if tensor.dtype == "string" else 0) for tensor in model.inputs
    ]
    graph.evaluate(model, samples, visit)
    nodes = [each for each in graph.nodes(model) if not getattr(each.operation, "tfopt_identity", False)]
    tensors = [tensor for node in nodes for tensor in node.outputs]
    return {id(tensor): shape for tensor, shape in zip(tensors, shapes, strict=True)}
