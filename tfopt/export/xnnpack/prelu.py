"""PRELU in integers, of operators that XNNPACK takes in int8: it does not take this one.

`prelu(x) = max(x, 0) - n` with `n = -slope * min(x, 0)`, which where no slope is negative is
`relu(-slope * x)`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.fields import constant
from tfopt.export.flatbuffer.replace_operator import Replacement

_MOST = 127
_LEAST = -128

_FINEST, _COARSEST = 2**-9, 2**7
"""XNNPACK subtracts tensors whose scales, divided by the result's, are not far from these."""


def depthwise(made: Replacement) -> bool:
    """Multiply by a depthwise convolution where slopes go by channels; return whether they do so."""
    shape = made.shape(made.input)
    slopes = _slopes(made)
    if slopes is None or len(shape) != 4 or not slopes.size == slopes.shape[-1] == shape[-1]:
        return False
    return _make(made, slopes, _by_convolution)


def product(made: Replacement) -> bool:
    """Multiply by a constant of any shape; return whether the slopes are constant."""
    slopes = _slopes(made)
    return slopes is not None and _make(made, slopes, _by_constant)


def _slopes(made: Replacement) -> np.ndarray | None:
    tensor = made.tensor_of(int(made.operator.inputs[1]))
    data = constant(made.model, tensor)
    if data is None or tensor.type != schema.TensorType.INT8:
        return None
    scale, zero_point = made.grid(int(made.operator.inputs[1]))
    integers = np.frombuffer(data, np.int8).astype(np.float64)
    return ((integers - zero_point) * scale).reshape(tensor.shape)


def _make(made: Replacement, slopes: np.ndarray, multiply: Any) -> bool:
    """Add the operators; `multiply` adds the one with the slopes. Return whether the scales allow it."""
    scale, zero_point = grid = made.grid(made.input)
    # The range of n: the steepest slope of either sign, times how far below 0 an input can be.
    depth = (zero_point - _LEAST) * scale
    least, most = (depth * max(0.0, limit) for limit in (-slopes.min(), slopes.max()))
    result = made.grid(made.output)[0]
    step = max((least + most) / (_MOST - _LEAST), result * _FINEST)
    largest = (float(np.abs(slopes).max()) or 1.0) / _MOST
    if not (
        _FINEST <= scale / result <= _COARSEST and max(step / result, scale * largest / step) <= _COARSEST
    ):
        return False
    shape = made.shape(made.input)
    zero = made.constant("zero", np.full([1] * len(shape), zero_point, np.int8), grid)
    positive = made.tensor("positive", shape, grid)
    made.add("MAXIMUM", [made.input, zero], positive, "MaximumMinimumOptions")
    source, activation = made.input, schema.ActivationFunctionType.RELU
    if slopes.min() < 0:
        source = made.tensor("negative", shape, grid)
        made.add("MINIMUM", [made.input, zero], source, "MaximumMinimumOptions")
        activation = schema.ActivationFunctionType.NONE
    lost = made.tensor("lost", shape, (step, _LEAST + round(least / step)))
    integers = np.rint(-slopes / largest).astype(np.int8)
    multiply(made, source, integers, largest, lost, activation)
    made.add("SUB", [positive, lost], made.output, "SubOptions")
    return True


def _by_convolution(
    made: Replacement, source: int, integers: np.ndarray, scale: float, output: int, activation: int
) -> None:
    weights = made.constant("slopes", integers.reshape(1, 1, 1, -1), (scale, 0))
    bias = made.constant("bias", np.zeros(integers.size, np.int32), (scale * made.grid(source)[0], 0))
    made.add(
        "DEPTHWISE_CONV_2D",
        [source, weights, bias],
        output,
        "DepthwiseConv2DOptions",
        padding=schema.Padding.VALID,
        strideH=1,
        strideW=1,
        depthMultiplier=1,
        fusedActivationFunction=activation,
    )


def _by_constant(
    made: Replacement, source: int, integers: np.ndarray, scale: float, output: int, activation: int
) -> None:
    rank = len(made.shape(source))
    shape = (1,) * (rank - integers.ndim) + integers.shape
    factors = made.constant("slopes", integers.reshape(shape), (scale, 0))
    made.add("MUL", [source, factors], output, "MulOptions", fusedActivationFunction=activation)
