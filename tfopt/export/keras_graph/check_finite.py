"""Whether a model holds numbers that integers can stand for, before it is written as a file of them."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.quantization.planning.empty_segments import reduces_segments
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer
from tfopt.quantization.quantizers.names import quantized_by

LARGEST = 1e18
"""LiteRT multiplies scales in float32, where those of larger numbers overflow. Deep networks with random
weights reach 1e13 before their batch normalizations have seen data."""


def require_finite(model: keras.Model) -> None:
    """Raise where training has diverged.

    Args:
        model: as `tfopt.graph.lower` returns it.

    Raises:
        InvalidArgumentError: weights are NaN or infinite, or a range is that or beyond all measure. The
            message names the layers.
    """
    found = {path: wrong for path, layer in graph.layers(model) if (wrong := _wrong(layer))}
    empty = [node.path for node in graph.nodes(model) if reduces_segments(node)]
    if found and empty:
        path, wrong = next(iter(found.items()))
        raise InvalidArgumentError(
            f"The model {model.name!r} cannot be written in integers, for the numbers of "
            f"{quantized_by(path)!r} are beyond all measure ({wrong}). Of a segment without "
            f"rows {empty[0]!r} returns the limit of its type. Replace that before other layers read it, as "
            "y = tf.where(tf.abs(y) < 1e30, y, 0.0)."
        )
    if found:
        listed = ", ".join(f"{quantized_by(path)!r} ({wrong})" for path, wrong in [*found.items()][:5])
        more = f" and {len(found) - 5} more" if len(found) > 5 else ""
        raise InvalidArgumentError(
            f"The model {model.name!r} cannot be written in integers, for its numbers have exploded in "
            f"{listed}{more}. Train it again with a smaller learning rate or with gradient clipping, from "
            "weights that are sound."
        )


def _wrong(layer: Any) -> str:
    if isinstance(layer, FixedQuantizer):
        low, high = layer.minimum, layer.maximum
        sound = -LARGEST < low <= high < LARGEST
        return "" if sound else f"its output ranges from {low:g} to {high:g}"
    bad = [x.name for x in layer.weights if _is_float(x) and not np.all(np.isfinite(x.numpy()))]
    return f"NaN or infinity in {', '.join(bad)}" if bad else ""


def _is_float(variable: keras.Variable) -> bool:
    return keras.backend.is_float_dtype(keras.backend.standardize_dtype(variable.dtype))
