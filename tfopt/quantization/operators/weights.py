"""Which weights of a layer are put on a grid: its kernel, or the table of an embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from tfopt.errors import UnsupportedOperation
from tfopt.quantization.operators.traits import CHANNEL_AXES, kernel_axes

Weights = tuple[keras.Variable, tuple[int, ...]]
"""The variable and the axes that number its output channels, counted from the end."""


def weights_of(layer: Any) -> Weights | None:
    """Return the weights of a layer that a scheme is for, or None where it has none.

    Of int8 activations fewer layers can be multiplied with weights (see `operations`) than with weights
    that a file turns back into floats: these are all.
    """
    own = getattr(layer, "tfopt_weights", None)
    if own is not None:
        return own()
    name = type(layer).__name__
    if not type(layer).__module__.startswith("keras."):
        return None  # a user's subclass may do anything with its kernel
    if name in CHANNEL_AXES:
        return kernel_axes(layer)
    return _OTHERS[name](layer) if name in _OTHERS else None


def required_weights(layer: keras.Layer) -> Weights:
    """Return the weights of a layer that has some.

    Raises:
        UnsupportedOperation: it has none that a scheme is for.
    """
    found = weights_of(layer)
    if found is None:
        raise UnsupportedOperation(
            f"The layer {layer.name!r} ({type(layer).__name__}) has no weights that a scheme is for. Leave "
            f"it in float with rules={{{layer.name!r}: None}}."
        )
    return found


def block_size_of(layer: keras.Layer, size: int | None) -> int | None:
    """Return `size` where LiteRT can multiply by the weights of a layer in blocks of so many inputs.

    That is in FULLY_CONNECTED, and where the inputs are a multiple of it; None elsewhere.
    """
    dense = type(layer) is keras.layers.Dense
    return size if dense and size is not None and layer.kernel.shape[0] % size == 0 else None


def _einsum(layer: Any) -> Weights:
    """The labels of the kernel that are in the output number its channels."""
    operands, output = "".join(layer.equation.split()).split("->")
    kernel = operands.split(",")[1]
    channels = [position - len(kernel) for position, label in enumerate(kernel) if label in output]
    return layer.kernel, tuple(channels)


_OTHERS: dict[str, Callable[[Any], Weights]] = {
    "Conv3D": lambda layer: (layer.kernel, (-1,)),
    "EinsumDense": _einsum,
    "Embedding": lambda layer: (layer.embeddings, (-2,)),
}
