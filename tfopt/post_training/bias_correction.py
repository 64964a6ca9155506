"""Taking back the shift of a layer's outputs that rounding its weights leaves."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.data.representative import Representative
from tfopt.graph import Node
from tfopt.post_training.copies import called_once, flat_copy, readers, with_weights_of
from tfopt.post_training.kernels import Bits, kernels_of, norm_factors, normalizes_channels
from tfopt.post_training.rounding import round_kernels
from tfopt.post_training.samples import samples_of
from tfopt.post_training.side_by_side import Call, side_by_side


def bias_correction(
    model: keras.Model, data: Representative, *, bits: Bits = 8, per_channel: bool = True
) -> keras.Model:
    """Return a copy of `model` with biases that make up for the rounding of its weights.

    Rounding a kernel shifts the mean of what comes out of it, the more the fewer weights a channel has, and
    what follows was trained for the old mean. Layer by layer, in the order in which they run, the mean of
    each output channel is measured in the float model and in the one with rounded weights, and the difference
    taken from the bias: that of the layer, or of the batch normalization after a layer without one. Kernels
    stay as they are: `to_tflite` rounds them as was assumed here.

    Args:
        model: a built Sequential or functional model in float.
        data: representative samples, as `tfopt.to_tflite` takes them.
        bits: in which the weights will be held, 8 or 4; by layer path where they differ.
        per_channel: whether each output channel will have a scale of its own.

    Raises:
        UnsupportedModel: the model is subclassed, and its code cannot be read.
        InvalidArgumentError: the model is quantization-aware, or the data does not fit it.
        DataError: the data is empty or holds NaN.

    Reference:
        Nagel et al., 2019, Data-Free Quantization Through Weight Equalization and Bias Correction (arXiv
        1906.04721), section 4.2; the empirical form of appendix D.
    """
    exact, rounded, result = flat_copy(model), flat_copy(model), flat_copy(model)
    arrays = samples_of(exact, data)
    taken = round_kernels(rounded, bits, per_channel, biases_move=True)
    holders = _bias_holders(rounded)
    for call in side_by_side(exact, rounded, arrays):
        layer = call.rounded_node.operation
        if id(layer) in holders:
            shift = -_mean_difference(call)
            for copy in (layer, result.get_layer(layer.name)):
                _shift(copy, shift)
            if id(layer) in taken:
                dense, lost = taken[id(layer)]
                dense.bias.assign_add(shift @ lost)
    return with_weights_of(model, result)


def _bias_holders(model: keras.Model) -> set[int]:
    """Return the `id`s of the layers whose bias takes the correction of a kernel."""
    nodes, reader = graph.nodes(model), readers(model)
    once = called_once(nodes)
    holders = [_bias_holder(node, reader) for node in nodes if kernels_of(node.operation)]
    return {id(layer) for layer in holders if layer is not None and id(layer) in once}


def _bias_holder(node: Node, reader: dict[int, Node]) -> Any:
    layer: Any = node.operation
    if layer.bias is not None:
        return layer
    after = reader.get(id(node.outputs[0]))
    if after is None or not normalizes_channels(after):
        return None
    return after.operation if layer.activation is keras.activations.linear else None


def _mean_difference(call: Call) -> np.ndarray:
    """Return by how much the mean of each channel before the activation is larger in the rounded model."""
    means = []
    for node, (args, kwargs) in (
        (call.float_node, call.float_arguments),
        (call.rounded_node, call.rounded_arguments),
    ):
        outputs = _without_activation(node.operation, args, kwargs)
        means.append(np.mean(outputs, axis=tuple(range(outputs.ndim - 1)), dtype=np.float64))
    return np.asarray(means[1] - means[0], np.float32)


def _without_activation(layer: Any, args: tuple, kwargs: dict[str, Any]) -> np.ndarray:
    activation = getattr(layer, "activation", None)
    if activation is None:
        return keras.ops.convert_to_numpy(layer(*args, **kwargs))
    layer.activation = keras.activations.linear
    try:
        return keras.ops.convert_to_numpy(layer(*args, **kwargs))
    finally:
        layer.activation = activation


def _shift(layer: Any, shift: np.ndarray) -> None:
    if kernels_of(layer):
        layer.bias.assign_add(shift)
    elif layer.center:
        layer.beta.assign_add(shift)
    else:
        layer.moving_mean.assign_sub(shift / norm_factors(layer))
