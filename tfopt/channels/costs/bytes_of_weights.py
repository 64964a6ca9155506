"""How many bytes a weight of each variable takes in a file, roughly: files themselves correct the sum."""

from __future__ import annotations

import keras

from tfopt import graph
from tfopt.export.schemes import FILE_SCHEMES
from tfopt.quantization.operators.weights import fewest_bits
from tfopt.quantization.scheme import SCHEMES

_FLOAT = 4.0
_SCALED_BIAS = 12.0
"""An int32 bias, the scale of its channel of the kernel and its own."""

_BITS_IN_FILE = (2, 4, 8)

_FOLDED = ("gamma", "moving_mean", "moving_variance")
"""What of a batch normalization becomes part of the kernel before it. `beta` becomes the bias."""


def bytes_of_weights(model: keras.Model, scheme: str) -> dict[int, float]:
    """Return the `id` of a variable -> bytes of one of its weights.

    Args:
        model: functional.
        scheme: by name.
    """
    found: dict[int, float] = {}
    for layer in _layers(model):
        kernel, other = _bytes(type(layer).__name__, scheme)
        normalization = isinstance(layer, keras.layers.BatchNormalization)
        for variable in layer.weights:
            if len(variable.shape) > 1:
                found.setdefault(id(variable), kernel)
            elif not (normalization and variable.name in _FOLDED):
                found.setdefault(id(variable), other)
    return found


def _layers(model: keras.Model) -> list[keras.Layer]:
    """Return the layers that own variables, the innermost first."""
    layers = [layer for _, layer in graph.layers(model)]
    return [*(inner for layer in layers for inner in reversed(graph.inner_layers(layer))), *layers]


def _bytes(kind: str, scheme: str) -> tuple[float, float]:
    """Return the bytes of a weight of a kernel, and of a bias or another vector."""
    if scheme == "float16":
        return 2.0, 2.0
    bits = FILE_SCHEMES[scheme].weight_bits if scheme in FILE_SCHEMES else SCHEMES[scheme].weight_bits
    if bits is None:
        return _FLOAT, _FLOAT
    trained = max(bits, fewest_bits(kind).trained)
    stored = next(each for each in _BITS_IN_FILE if each >= trained)
    return stored / 8, _SCALED_BIAS
