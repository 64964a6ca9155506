"""Putting biases on the grid that a file holds them on, so that model and file add the same numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import keras
import numpy as np

from tfopt import graph
from tfopt.errors import InvalidArgumentError
from tfopt.quantization.layers.standalone_batch_norm import StandaloneAffine
from tfopt.quantization.operators.traits import Kind, kind
from tfopt.quantization.quantizers import weight_grids
from tfopt.quantization.quantizers.activation import ActivationQuantizer
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer
from tfopt.quantization.quantizers.weight import WeightQuantizer


def round_biases(model: keras.Model) -> int:
    """Round the biases of a trained model to what its file will hold, and return how many layers have one.

    A file has biases as integers whose scale is input scale times weight scale, up to a hundredth of the
    scale of the output. In training they are floats, so a value next to the middle between two integers may
    fall to either side; over the fifty layers of a MobileNetV2 such differences of 1 add up to ten or twenty.
    Call it when training has ended: it moves no bias by more than half its scale, and the file stays the
    same. The stage `tfopt.QuantizeAware` does.

    A batch normalization after the layer becomes part of it, so its offset (`beta`) is what moves; one that
    stands alone is a layer with a bias itself. Left as they are: a layer that is called several times, whose
    inputs have scales of their own, and one that is in float on either side.

    Args:
        model: as `tfopt.quantize_aware` returns it, calibrated or trained.

    Raises:
        InvalidArgumentError: the model is not quantization-aware, or was not calibrated.
        UnsupportedModel: it is subclassed.

    Reference:
        Jacob et al., 2018, Quantization and training of neural networks for efficient integer-arithmetic-only
        inference (arXiv 1712.05877), section 2.4, equation 11.
    """
    graph.require_functional(model)
    if not graph.is_quantized(model):
        raise InvalidArgumentError(
            f"round_biases needs a quantization-aware model, got {model.name!r}: call tfopt.quantize_aware "
            "first."
        )
    nodes = graph.calls(graph.without_losses(model))
    made = {id(tensor): node for node in nodes for tensor in node.outputs}
    read: dict[int, list[keras.Operation]] = {}
    for node in nodes:
        for tensor in node.inputs:
            read.setdefault(id(tensor), []).append(node.operation)
    times = Counter(id(node.operation) for node in nodes)
    rounded = 0
    for node in nodes:
        layer = node.operation
        if not isinstance(layer, (WeightQuantizer, StandaloneAffine)) or times[id(layer)] > 1:
            continue
        scale = _scale(made, node.inputs[0])
        if isinstance(layer, StandaloneAffine):
            rounded += scale is not None and _round_affine(layer, scale)
            continue
        integers = None not in (layer.scheme.weight_bits, layer.scheme.activation_bits)
        if integers and scale is not None:
            readers = read.get(id(node.outputs[0]), [])
            alone = len(readers) == 1 and times[id(readers[0])] == 1
            rounded += _round(layer, readers[0] if alone else None, scale)
    return rounded


def _scale(made: Mapping[int, graph.Node], tensor: keras.KerasTensor) -> float | None:
    """Return the scale of a tensor, None where it is not quantized."""
    node = made.get(id(tensor))
    if node is None:
        return None
    found = node.operation.lower() if isinstance(node.operation, ActivationQuantizer) else node.operation
    if isinstance(found, FixedQuantizer):
        return (found.maximum - found.minimum) / (2**found.num_bits - 1)
    return _scale(made, node.inputs[0]) if kind(found) is Kind.SAME_SCALE else None


def _round(layer: WeightQuantizer, norm: keras.Operation | None, scale: float) -> bool:
    """Round the bias of a layer, in the batch normalization after it where there is one."""
    scales = scale * layer.scales()
    offset = getattr(layer.layer, "bias", None)
    bias: np.ndarray | float = 0.0 if offset is None else _array(offset)
    if isinstance(norm, keras.layers.BatchNormalization):
        gain = 1 / np.sqrt(_array(norm.moving_variance) + norm.epsilon)
        gain = gain * _array(norm.gamma) if norm.scale else gain
        offset = norm.beta
        bias = (bias - _array(norm.moving_mean)) * gain + (_array(offset) if norm.center else 0.0)
        scales = scales * np.abs(gain)
    if offset is None or scales.size not in (1, np.size(bias)):
        return False
    offset.assign(_array(offset) + _to_grid(bias, scales))
    return True


def _round_affine(layer: StandaloneAffine, scale: float) -> bool:
    """Round what a layer adds that is a depthwise convolution in the file, whose weights are all 127."""
    if not getattr(layer.layer, "center", False):
        return False
    factor, summand = layer.factors()
    offset = layer.layer.beta
    scales = scale * np.abs(np.asarray(factor, np.float64)) / weight_grids.top(8)
    offset.assign(_array(offset) + _to_grid(summand, scales).reshape(offset.shape))
    return True


def _to_grid(bias: np.ndarray | float, scales: np.ndarray) -> np.ndarray:
    """Return what is to be added to biases to make them multiples of their scales."""
    # Where a gain is zero the channel is one number, and its scale is the converter's choice.
    return np.where(scales > 0, np.round(bias / np.where(scales > 0, scales, 1)) * scales - bias, 0.0)


def _array(variable: keras.Variable) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(variable), np.float64)
