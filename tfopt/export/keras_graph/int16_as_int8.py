"""What has 16 bits in a quantization-aware model, and the model of 8 bits that the converter gets instead.

The converter has no quantization-aware training with 16-bit activations: what it makes of it is wrong. So
it is given fake quantization to 8 bits with the *scales* of the 16-bit grids: the graph of operators, the
scales and the biases are then right, and only the types of tensors and the values of constants are not. These
are set by `export.int16`.

Which tensor of the file has 16 bits is told by its scale alone. The names of tensors do not tell: many are
those of operations that are no layers (`MatMul`, `strided_slice_41`), and where 16 and 8 bits meet, one layer
has tensors of both widths.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt.graph import Constant, looped, nodes
from tfopt.quantization.operators.traits import FIXED_RANGES, INT16_RANGE, kind
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer

ScaleAndZeroPoint: TypeAlias = tuple[float, int]
"""Scale and zero point."""


@dataclass(frozen=True, kw_only=True)
class Int16Spec:
    """What has 16 bits in a model.

    Attributes:
        scales: of the tensors.
        int8_grids: scale -> the grid of 8 bits to which operators of 8 bits have such tensors requantized.
        fixed: the layers whose outputs have the scale that TFLite prescribes.
        constants: values that constant tensors may have.
        cut: scale and values of those that are quantized, of which 8 bits with that scale hold what they can.
    """

    scales: set[float] = field(default_factory=set)
    int8_grids: dict[float, ScaleAndZeroPoint] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    constants: list[np.ndarray] = field(default_factory=list)
    cut: list[tuple[float, np.ndarray]] = field(default_factory=list)

    def has_scale(self, scale: float) -> bool:
        """Return whether a scale of the file is that of a tensor with 16 bits."""
        return any(_is_scale(scale, own) for own in self.scales)

    def requantized(self, scale: float) -> ScaleAndZeroPoint | None:
        """Return the grid of 8 bits to which the tensors of a scale of the file are requantized, if any."""
        return next((grid for own, grid in self.int8_grids.items() if _is_scale(scale, own)), None)

    def constants_of(self, scale: float) -> list[tuple[float, np.ndarray]]:
        """Return which of `cut` have a scale of the file."""
        return [(own, values) for own, values in self.cut if _is_scale(scale, own)]


def as_int8(lowered: keras.Model) -> Int16Spec:
    """Turn the 16-bit quantizers of a model into those of 8 bits with the same scale; return what they were.

    Args:
        lowered: as `tfopt.graph.lower` returns it; its quantizers are changed.
    """
    int16 = Int16Spec()
    scales: dict[str, float] = {}  # of the quantizers that had 16 bits
    found = [each for node in nodes(lowered) for each in (node, *looped(node))]
    makers = {id(tensor): node for node in found for tensor in node.outputs}
    quantizers = [node for node in found if isinstance(node.operation, FixedQuantizer)]
    for node in quantizers:
        quantizer: Any = node.operation
        if quantizer.num_bits == 8:
            continue
        maker = makers.get(id(node.inputs[0]))
        made = None if maker is None else kind(maker.operation)
        prescribed = None if made is None else FIXED_RANGES.get(made)
        if maker is not None and prescribed and (quantizer.minimum, quantizer.maximum) == INT16_RANGE:
            int16.fixed.add(maker.path)
            quantizer.minimum, quantizer.maximum = prescribed
        else:
            scale = (quantizer.maximum - quantizer.minimum) / (2**16 - 1)
            quantizer.minimum, quantizer.maximum = -128 * scale, 127 * scale
            scales[quantizer.name] = scale
        quantizer.num_bits = 8
    int16.scales.update(scales.values())
    for node in quantizers:
        requantized: Any = node.operation
        if requantized.requantizes in scales:
            int16.int8_grids[scales[requantized.requantizes]] = _grid(requantized)
        maker = makers.get(id(node.inputs[0]))
        if requantized.name in scales and maker is not None and isinstance(maker.operation, Constant):
            int16.cut.append((scales[requantized.name], maker.operation.value.numpy()))
    layers: list[Any] = [node.operation for node in found]
    weights = [weight for layer in layers for weight in getattr(layer, "weights", ())]
    int16.constants.extend(weight.numpy() for weight in weights if "float" in weight.dtype)
    return int16


def _is_scale(found: float, own: float) -> bool:
    """Return whether a scale in the file is one of the model: the converter computes it in float32."""
    return bool(np.isclose(found, own, rtol=1e-5, atol=0))


def _grid(quantizer: Any) -> ScaleAndZeroPoint:
    """Return scale and zero point of a quantizer to 8 bits, as TensorFlow shifts its range."""
    scale = (quantizer.maximum - quantizer.minimum) / 255
    return scale, int(np.clip(np.floor(-quantizer.minimum / scale + 0.5), 0, 255)) - 128
