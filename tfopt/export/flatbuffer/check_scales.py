"""Whether the scales of a file are such that a runtime can compute with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfopt.errors import InvalidArgumentError
from tfopt.export.flatbuffer.fields import constant, operator_name, text, type_name
from tfopt.export.flatbuffer.tensor_names import layer_of

_GRIDS = ("int4", "int8", "uint8", "int16")
_USUAL = (1e-8, 1e5)
_USUAL_RATIO = 2.0**12


def require_scales(model: Any, source: str) -> None:
    """Raise where a scale is no number to compute with; LiteRT would end the whole process there.

    Args:
        model: the file as a `ModelT`.
        source: what an error message calls it.

    Raises:
        InvalidArgumentError: a scale is NaN or infinite or, of an activation, not above zero.
    """
    for graph in model.subgraphs:
        constants = _constants(model, graph)
        for index, tensor in enumerate(graph.tensors or []):
            scales = _scales(tensor)
            wrong = scales[~np.isfinite(scales) | (scales < 0)]
            if index not in constants:  # a channel of zeros has any scale, and converters write 0
                wrong = np.concatenate([wrong, scales[scales == 0]])
            if len(wrong):
                name = text(tensor.name)
                raise InvalidArgumentError(
                    f"{source} gives the tensor {name!r} of the layer {layer_of(name)!r} the scale "
                    f"{wrong[0]:g}; a scale must be finite and above zero. Were the ranges found while "
                    "training diverged, or is the file damaged? Calibrate the model and export it again."
                )


def are_unusual(model: Any) -> bool:
    """Return whether scales lie so far apart that some of LiteRT's kernels end the process at them."""
    return any(
        _far_apart(_scales(graph.tensors[index]) for index in _data(operator) if index not in constants)
        for graph in model.subgraphs
        for constants in [_constants(model, graph)]
        for operator in graph.operators or []
    )


def _far_apart(scales: Iterable[np.ndarray]) -> bool:
    values = np.concatenate([*scales, np.zeros(0)])
    if not len(values):
        return False
    low, high = float(np.min(values)), float(np.max(values))
    return low < _USUAL[0] or high > _USUAL[1] or high > _USUAL_RATIO * low


def _data(operator: Any) -> list[int]:
    """Return what an operator reads and writes."""
    read = operator.inputs if operator.inputs is not None else ()
    return [int(index) for index in (*read, *operator.outputs) if index >= 0]


def _scales(tensor: Any) -> np.ndarray:
    quantization = tensor.quantization
    if quantization is None or quantization.scale is None or type_name(tensor) not in _GRIDS:
        return np.zeros(0)
    return np.asarray(quantization.scale, np.float64)


def _constants(model: Any, graph: Any) -> set[int]:
    """Return the constant tensors of a graph, and those that sparse ones are decoded to."""
    tensors = enumerate(graph.tensors or [])
    found = {index for index, tensor in tensors if constant(model, tensor) is not None}
    decoded = [each for each in graph.operators or [] if operator_name(model, each) == "DENSIFY"]
    return found | {int(index) for each in decoded for index in each.outputs}
