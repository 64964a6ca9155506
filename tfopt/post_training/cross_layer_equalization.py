"""Moving scales between layers, so that the channels of a kernel have ranges alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.graph import Node
from tfopt.post_training.copies import called_once, flat_copy, readers, with_weights_of
from tfopt.post_training.kernels import kernels_of, norm_factors, normalizes_channels, value

MAX_ROUNDS = 50
SETTLED = 1e-2
"""Rounds end when no scale changes by more; ranges that differ by so little lose nothing."""

_ACTIVATIONS = ("linear", "relu", "leaky_relu")
"""Activations f with f(s x) = s f(x) for s > 0."""

_CHANNELWISE = {
    *("ActivityRegularization", "Dropout", "GaussianDropout", "Identity", "SpatialDropout1D"),
    *("SpatialDropout2D", "LeakyReLU", "LeakyRelu", "PReLU", "Relu", "MaxPooling1D", "MaxPooling2D"),
    *("AveragePooling1D", "AveragePooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D"),
    *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "ZeroPadding1D", "ZeroPadding2D", "Cropping1D"),
    *("Cropping2D", "UpSampling1D", "UpSampling2D", "Flatten"),
}
"""Operations that a scale of a channel can be moved through: f(s x) = s f(x), and channels stay apart."""


@dataclass(frozen=True)
class Pair:
    """Two layers between which scales can be moved.

    Attributes:
        first, second: the layers.
        norm: the batch normalization after the first, or `None`.
    """

    first: keras.Layer
    second: keras.Layer
    norm: Any


def cross_layer_equalization(model: keras.Model) -> keras.Model:
    """Return a copy of `model` with the same outputs, whose layers are easier to quantize.

    Where a convolution or dense layer is followed by another, with nothing between them but batch
    normalization, ReLU, LeakyReLU, PReLU, pooling and the like, a channel between the two can be divided by
    any number in the first and multiplied by it in the second. The numbers are chosen so that both have the
    same range in each channel. It helps most where a kernel has one scale (`per_channel=False`), where
    depthwise convolutions follow batch normalization, and where activations differ much between channels.

    Activations that saturate, such as ReLU6 and sigmoid, end a chain.

    Args:
        model: a built Sequential or functional model in float.

    Raises:
        UnsupportedModel: the model is subclassed, and its code cannot be read.
        InvalidArgumentError: the model is quantization-aware.

    Reference:
        Nagel et al., 2019, Data-Free Quantization Through Weight Equalization and Bias Correction (arXiv
        1906.04721), section 4.1, equation 11.
    """
    flat = flat_copy(model)
    pairs = _pairs(flat)
    for _ in range(MAX_ROUNDS):
        changes = [_equalize(pair) for pair in pairs]
        if max(changes, default=0.0) < SETTLED:
            break
    return with_weights_of(model, flat)


def _pairs(model: keras.Model) -> list[Pair]:
    nodes, reader = graph.nodes(model), readers(model)
    once = called_once(nodes)
    found = [_pair(node, reader, once) for node in nodes if id(node.operation) in once]
    return [pair for pair in found if pair is not None]


def _pair(node: Node, reader: dict[int, Node], once: set[int]) -> Pair | None:
    first, norm, after = node.operation, None, reader.get(id(node.outputs[0]))
    if not kernels_of(first) or not _passes_scales(first):
        return None
    bare = first.activation is keras.activations.linear
    while after is not None and len(after.inputs) == 1:
        operation = after.operation
        if kernels_of(operation):
            grouped = getattr(operation, "groups", 1) > 1
            fits = id(operation) in once and not grouped
            return Pair(first, operation, norm) if fits else None
        if bare and normalizes_channels(after) and id(operation) in once:
            norm = operation
        elif not _passes_scales(operation):
            return None
        bare = False
        after = reader.get(id(after.outputs[0]))
    return None


def _passes_scales(operation: Any) -> bool:
    """Return whether scaling a channel by a positive number can be done before or after an operation."""
    if not type(operation).__module__.startswith("keras."):
        return False
    if getattr(operation, "data_format", None) == "channels_first":
        return False
    name = type(operation).__name__
    if name == "ReLU":
        return operation.max_value is None and operation.threshold == 0
    if name == "Activation" or kernels_of(operation):
        return getattr(operation.activation, "__name__", "") in _ACTIVATIONS
    return name in _CHANNELWISE


def _equalize(pair: Pair) -> float:
    """Give both layers the same ranges in each channel between them; return the largest change."""
    kernel, into = kernels_of(pair.first)[-1], kernels_of(pair.second)[0]
    first, second = value(pair.first, kernel), value(pair.second, into)
    others = tuple(axis for axis in range(-first.ndim, 0) if axis not in kernel.outputs)
    ranges = np.max(np.abs(first), axis=others).reshape(-1)
    if pair.norm is not None:
        ranges = ranges * np.abs(norm_factors(pair.norm))
    # After Flatten, the channels come once for each place.
    inputs = np.moveaxis(second, into.inputs, 0)
    by_channel = inputs.reshape(-1, len(ranges), *inputs.shape[1:])
    theirs = np.max(np.abs(by_channel), axis=(0, *range(2, by_channel.ndim)))
    alive = (ranges > 0) & (theirs > 0)
    scales = np.where(alive, np.sqrt(ranges / np.where(alive, theirs, 1.0)), 1.0).astype(np.float32)
    if pair.norm is not None and not pair.norm.scale:
        # Its variance takes the scale, and cannot become negative.
        variance = keras.ops.convert_to_numpy(pair.norm.moving_variance)
        scales = np.minimum(scales, np.sqrt((variance + pair.norm.epsilon) / pair.norm.epsilon))
    _divide(pair, scales)
    moved = by_channel * scales.reshape(1, -1, *[1] * (by_channel.ndim - 2))
    getattr(pair.second, into.name).assign(np.moveaxis(moved.reshape(inputs.shape), 0, into.inputs))
    return float(np.max(np.abs(np.log(scales)), initial=0.0))


def _divide(pair: Pair, scales: np.ndarray) -> None:
    """Divide what comes out of the first layer and its normalization by `scales`."""
    if pair.norm is None:
        (kernel,) = kernels_of(pair.first)[-1:]
        weights = value(pair.first, kernel)
        shape = [weights.shape[axis] if axis in kernel.outputs else 1 for axis in range(-weights.ndim, 0)]
        getattr(pair.first, kernel.name).assign(weights / scales.reshape(shape))
        if pair.first.bias is not None:
            pair.first.bias.assign(pair.first.bias / scales)
        return
    norm = pair.norm
    if norm.scale:
        norm.gamma.assign(norm.gamma / scales)
    else:
        norm.moving_variance.assign((norm.moving_variance + norm.epsilon) * scales**2 - norm.epsilon)
    if norm.center:
        norm.beta.assign(norm.beta / scales)
