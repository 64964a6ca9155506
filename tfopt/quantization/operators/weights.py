"""Which weights of a layer are quantized: its kernel, or the table of an embedding."""

from __future__ import annotations

from typing import Any

import keras

from tfopt.errors import UnsupportedOperation
from tfopt.quantization.operators.op_traits import FewestBits
from tfopt.quantization.operators.registry import OPERATORS
from tfopt.quantization.operators.traits import traits_of

Weights = tuple[keras.Variable, tuple[int, ...]]
"""The variable and the axes that number its output channels, counted from the end."""


def weights_of(layer: Any) -> Weights | None:
    """Return the weights of a layer that a scheme is for, or None where it has none.

    Weights that a file turns back into floats are among them, of layers whose kind is FLOAT.
    """
    kernels = traits_of(layer).kernels
    if len(kernels) != 1:  # of two, each becomes a layer of its own
        return None
    return getattr(layer, kernels[0].attribute), kernels[0].output_axes(layer)


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


def fewest_bits(name: str) -> FewestBits:
    """Return the fewest bits in which LiteRT reads the weights of a class of layers, given by its name."""
    traits = OPERATORS.get(name)
    return traits.kernels[0].fewest_bits if traits is not None and traits.kernels else FewestBits()
