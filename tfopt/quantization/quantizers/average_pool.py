"""The windows of an average pooling, and how a file takes the mean of each.

LiteRT's delegate does not take AVERAGE_POOL_2D in int8. A file has other operators in its place: for a window
that is the whole image a MEAN; for small windows a depthwise convolution with equal weights, followed by a
product with a constant where the border cuts windows, for a convolution counts what is missing as zeros.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfopt.graph import Node

MOST_WEIGHTS = 25
"""XNNPACK's depthwise kernels for more weights a channel are ten times slower."""

LARGEST_FACTOR = 9 / 4
"""That of a 3x3 window in a corner. The mean is rounded before the product: a larger one would show."""


def factors(
    sizes: Sequence[int], windows: Sequence[int], strides: Sequence[int], *, same: bool
) -> list[list[float]]:
    """Return for each axis by how much fewer values the window at each place holds than it is wide.

    Args:
        sizes: of the image.
        windows, strides: of the pooling.
        same: whether windows may lie over the border.
    """
    found = []
    for size, window, stride in zip(sizes, windows, strides, strict=True):
        places = -(-size // stride) if same else (size - window) // stride + 1
        before = max(0, (places - 1) * stride + window - size) // 2 if same else 0
        starts = [place * stride - before for place in range(places)]
        held = [min(start + window, size) - max(start, 0) for start in starts]
        found.append([window / count for count in held])
    return found


def product(found: Sequence[Sequence[float]]) -> np.ndarray:
    """Return the factors of all axes multiplied, with a last axis of size 1 for the channels."""
    return functools.reduce(np.multiply.outer, map(np.asarray, found))[..., None]


def whole(sizes: Sequence[int], windows: Sequence[int], found: Sequence[Sequence[float]]) -> bool:
    """Return whether one window holds the whole image."""
    pairs = zip(sizes, windows, found, strict=True)
    return all(len(places) == 1 and size <= window * places[0] for size, window, places in pairs)


def convolved(windows: Sequence[int], found: Sequence[Sequence[float]]) -> bool:
    """Return whether a convolution takes the means fast, and a product after it loses little."""
    return math.prod(windows) <= MOST_WEIGHTS and math.prod(map(max, found)) <= LARGEST_FACTOR


def rounding(node: Node) -> dict[str, Any]:
    """Return how the quantizer after a mean of values in its range is called: as the file's operator rounds.

    Args:
        node: of the kind AVERAGE.
    """
    layer: Any = node.operation
    if not hasattr(layer, "pool_size"):
        return {"averaged": True}
    sizes = node.inputs[0].shape[1:-1]
    windows, strides = (_each(x, len(sizes)) for x in (layer.pool_size, layer.strides or layer.pool_size))
    if None in sizes:
        return {"averaged": True}
    found = factors(sizes, windows, strides, same=layer.padding == "same")
    convolution = convolved(windows, found) and not whole(sizes, windows, found)
    return {"averaged": True, "factors": found} if convolution else {"averaged": True}


def _each(value: Any, axes: int) -> tuple[int, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
