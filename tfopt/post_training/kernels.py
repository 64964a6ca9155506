"""The kernels of a layer: which axes number its channels, and the grid that a file rounds them to."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt import _validation
from tfopt.graph import Node
from tfopt.quantization.operators.registry import OPERATORS

Bits: TypeAlias = "int | Mapping[str, int | None]"
"""Of the weights: 8 or 4 for all layers, or by layer path, where `None` leaves a layer in float."""

SMALLEST_SCALE = 1e-9
"""A channel of zeros has a scale of zero otherwise, and a division by it no value."""


@dataclass(frozen=True)
class KernelAxes:
    """A kernel of a kind of layer: its name, and the axes of its channels.

    Attributes:
        name: of the layer's attribute.
        inputs: the axis that numbers input channels, counted from the end.
        outputs: the axes that number output channels, counted from the end.
        least_bits: in which LiteRT still multiplies by it.
    """

    name: str
    inputs: int
    outputs: tuple[int, ...]
    least_bits: int = 4


KERNELS: Mapping[str, tuple[KernelAxes, ...]] = {
    name: tuple(
        KernelAxes(each.attribute, each.inputs, each.outputs, each.fewest_bits.post_training)
        for each in traits.kernels
        if each.inputs is not None and not callable(each.outputs)
    )
    for name, traits in OPERATORS.items()
}
"""The name of a Keras class -> its kernels, in the order in which it multiplies by them."""


def kernels_of(operation: Any) -> tuple[KernelAxes, ...]:
    """Return the kernels of a layer whose last axis numbers channels; of others, none."""
    if not type(operation).__module__.startswith("keras."):
        return ()  # a user's subclass may do anything with its kernel
    if getattr(operation, "data_format", None) == "channels_first":
        return ()
    return KERNELS.get(type(operation).__name__, ())


def value(layer: keras.Layer, kernel: KernelAxes) -> np.ndarray:
    """Return a kernel's values."""
    return keras.ops.convert_to_numpy(getattr(layer, kernel.name))


def bits_by_name(bits: Bits, names: Iterable[str]) -> dict[str, int | None]:
    """Return the bits of each layer of a flat copy, in which `block/conv` is called `block.conv`.

    Raises:
        InvalidArgumentError: some are neither 8 nor 4.
    """
    found: dict[str, int | None]
    if isinstance(bits, Mapping):
        known = {path.replace("/", "."): each for path, each in bits.items()}
        found = {name: known.get(name) for name in names}
    else:
        found = dict.fromkeys(names, bits)
    for each in found.values():
        _validation.choice("post_training", "bits", each, (8, 4, None))
    return found


def scales(
    kernel: np.ndarray, outputs: Sequence[int], bits: int, factors: np.ndarray, per_channel: bool
) -> np.ndarray:
    """Return the scales of the grid that a file has for a kernel, one an output channel.

    The grid is symmetric and ends at the largest magnitude: of a channel, or of the kernel after the batch
    normalization after it has been multiplied into it, as the converter does.

    Args:
        kernel: its values.
        outputs: the axes that number output channels, counted from the end and next to each other.
        bits: of the grid.
        factors: what the batch normalization multiplies each output channel by; ones where there is none.
        per_channel: whether each channel has a grid of its own.

    Returns:
        Of a shape that broadcasts against the kernel's.
    """
    others = tuple(axis for axis in range(-kernel.ndim, 0) if axis not in outputs)
    shape = [kernel.shape[axis] if axis in outputs else 1 for axis in range(-kernel.ndim, 0)]
    scaled = np.abs(factors).reshape(shape)
    largest = np.max(np.abs(kernel), axis=others, keepdims=True)
    if not per_channel:
        largest = np.max(largest * scaled) / np.maximum(scaled, np.finfo(np.float32).tiny)
    return np.maximum(largest / (2 ** (bits - 1) - 1), SMALLEST_SCALE).astype(np.float32)


def nearest(kernel: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return a kernel with each weight at the nearest value of its grid."""
    return (np.round(kernel / scale) * scale).astype(np.float32)


def channels(kernel: np.ndarray, outputs: Sequence[int]) -> int:
    """Return the number of output channels of a kernel."""
    return math.prod(kernel.shape[axis] for axis in outputs)


def normalizes_channels(node: Node | None) -> bool:
    """Return whether a call is of a batch normalization over the last axis."""
    if node is None or type(node.operation).__name__ != "BatchNormalization":
        return False
    layer: Any = node.operation
    return layer.axis in (-1, len(node.outputs[0].shape) - 1)


def norm_factors(norm: Any) -> np.ndarray:
    """Return what a batch normalization multiplies each channel by at inference."""
    deviation = np.sqrt(keras.ops.convert_to_numpy(norm.moving_variance) + norm.epsilon)
    gamma = keras.ops.convert_to_numpy(norm.gamma) if norm.scale else 1.0
    return np.asarray(gamma / deviation, np.float32)


def norm_offset(norm: Any) -> np.ndarray:
    """Return what a batch normalization adds to each channel at inference, after its factor."""
    beta = keras.ops.convert_to_numpy(norm.beta) if norm.center else 0.0
    return np.asarray(beta - keras.ops.convert_to_numpy(norm.moving_mean) * norm_factors(norm), np.float32)
