"""What has 16 bits in a quantization-aware model, and the model of 8 bits that the converter gets instead.

The converter has no quantization-aware training with 16-bit activations: what it makes of it is wrong. So
it is given fake quantization to 8 bits with the *steps* of the 16-bit grids: the graph of operators, the
scales and the biases are then right, and only the types of tensors and the values of constants are not. These
are set by `wide_activations`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt.graph import Constant, looped, nodes
from tfopt.quantization.operators.traits import FIXED_RANGES, WIDE_RANGE, kind
from tfopt.quantization.planning.bit_widths import REQUANTIZER_SUFFIX
from tfopt.quantization.planning.quantizer_placement import QUANTIZER_SUFFIX
from tfopt.quantization.quantizers.fixed_range import FixedQuantizer

Grid: TypeAlias = tuple[float, int]
"""Scale and zero point."""


@dataclass(frozen=True, kw_only=True)
class Wide:
    """What has 16 bits in a model.

    Attributes:
        scales: of the tensors.
        narrow: scale -> scale and zero point of the 8 bits that operators of that width read such tensors in.
        fixed: the layers whose outputs have the scale that TFLite prescribes.
        constants: values that constant tensors may have.
        cut: step and values of those that are quantized, of which 8 bits with that step hold what they can.
    """

    scales: set[float] = field(default_factory=set)
    narrow: dict[float, Grid] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    constants: list[np.ndarray] = field(default_factory=list)
    cut: list[tuple[float, np.ndarray]] = field(default_factory=list)


def narrowed(lowered: keras.Model) -> Wide:
    """Turn the 16-bit quantizers of a model into those of 8 bits with the same step; return what they were.

    Args:
        lowered: as `tfopt.graph.lower` returns it; its quantizers are changed.
    """
    wide = Wide()
    steps: dict[str, float] = {}
    found = [each for node in nodes(lowered) for each in (node, *looped(node))]
    makers = {id(tensor): node for node in found for tensor in node.outputs}
    for node in found:
        quantizer: Any = node.operation
        if not isinstance(quantizer, FixedQuantizer) or quantizer.num_bits == 8:
            continue
        maker = makers.get(id(node.inputs[0]))
        made = None if maker is None else kind(maker.operation)
        prescribed = None if made is None else FIXED_RANGES.get(made)
        if maker is not None and prescribed and (quantizer.minimum, quantizer.maximum) == WIDE_RANGE:
            wide.fixed.add(maker.path)
            quantizer.minimum, quantizer.maximum = prescribed
        else:
            step = (quantizer.maximum - quantizer.minimum) / (2**16 - 1)
            quantizer.minimum, quantizer.maximum = -128 * step, 127 * step
            wide.scales.add(step)
            steps[node.path] = step
        quantizer.num_bits = 8
    for node in found:
        base = node.path.removesuffix(REQUANTIZER_SUFFIX) + QUANTIZER_SUFFIX
        if base in steps and node.path.endswith(REQUANTIZER_SUFFIX):
            wide.narrow[steps[base]] = _grid(node.operation)
        maker = makers.get(id(node.inputs[0])) if node.inputs else None
        if node.path in steps and maker is not None and isinstance(maker.operation, Constant):
            wide.cut.append((steps[node.path], maker.operation.value.numpy()))
    layers: list[Any] = [node.operation for node in found]
    weights = [weight for layer in layers for weight in getattr(layer, "weights", ())]
    wide.constants.extend(weight.numpy() for weight in weights if "float" in weight.dtype)
    return wide


def _grid(quantizer: Any) -> Grid:
    """Return scale and zero point of a quantizer to 8 bits, as TensorFlow shifts its range."""
    scale = (quantizer.maximum - quantizer.minimum) / 255
    return scale, int(np.clip(np.floor(-quantizer.minimum / scale + 0.5), 0, 255)) - 128
