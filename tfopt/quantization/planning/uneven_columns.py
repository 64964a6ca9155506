"""Columns of very different size that are normalized first: one scale for all would round some of them away.

Age lies below 100 and income beyond 100,000. In 8 bits of the larger range every age is the same, until a
normalization has brought both to one size: it must see them in float.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from tfopt.graph import nodes
from tfopt.quantization.layers.scaling import Scaling
from tfopt.quantization.operators.op_traits import Kind

LEAST_DEVIATION = 4.0
"""Of how many scales of the common grid the standard deviation of each column must be: 23 dB of noise."""


def with_uneven_columns_in_float(
    model: keras.Model, kinds: Mapping[int, Kind], intervals: Callable[[str], int], paths: Mapping[str, str]
) -> dict[int, Kind]:
    """Return the kinds with the normalizations of inputs in float whose columns no common grid holds.

    Args:
        model: canonical.
        kinds: `id` of each operation -> its kind.
        intervals: path of an operation -> how many scales the range of its activations has.
        paths: name -> path of every operation.
    """
    changed = dict(kinds)
    of_inputs = {id(x) for x in model.inputs}
    for node in nodes(model):
        if not node.inputs or not all(id(x) in of_inputs for x in node.inputs):
            continue
        path = paths.get(node.path, node.path)
        if kinds[id(node.operation)] is Kind.SAME_SCALE:
            of_inputs.update(map(id, node.outputs))
        elif isinstance(node.operation, Scaling) and kinds[id(node.operation)] is not Kind.FLOAT:
            deviation = intervals(path) * _smallest_share(node.operation)
            if deviation < LEAST_DEVIATION:
                changed[id(node.operation)] = Kind.FLOAT
                warnings.warn(
                    f"{path!r} is left in float, and so are the columns that it normalizes: with one scale "
                    f"for all, the standard deviation of one is {deviation:.1g} times the scale. For a file "
                    "of integers alone, normalize the data before the model.",
                    stacklevel=2,
                )
    return changed


def normalizes_columns_in_float(operation: Any, kinds: Mapping[int, Kind]) -> bool:
    """Return whether an operation must have its columns as they are: what is before it stays in float too."""
    return (
        isinstance(operation, Scaling) and np.size(operation.scale) > 1 and kinds[id(operation)] is Kind.FLOAT
    )


def _smallest_share(operation: Scaling) -> float:
    """Return the smallest column's standard deviation, as a share of the range of all columns.

    `x * scale + offset` has mean 0 and variance 1 for data of the mean `-offset / scale`. 1 where it has one
    scale for all columns.
    """
    scale, offset = np.asarray(operation.scale, "float64"), np.asarray(operation.offset, "float64")
    if scale.size == 1 or not scale.all():
        return 1.0
    deviation, mean = np.abs(1.0 / scale), -offset / scale
    lowest, highest = (mean - 3.0 * deviation).min(), (mean + 3.0 * deviation).max()
    return float(deviation.min() / (max(highest, 0.0) - min(lowest, 0.0)))
