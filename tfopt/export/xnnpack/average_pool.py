"""AVERAGE_POOL_2D in integers, of operators that XNNPACK takes in int8: it does not take this one.

The lowering of a window is decided in `tfopt.quantization.quantizers.average_pool`, for the
quantization-aware model rounds as the file does.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tfopt.export.flatbuffer.replace_operator import Replacement
from tfopt.export.xnnpack.costs import Work
from tfopt.quantization.quantizers import average_pool

_MOST = 127


def work(graph: Any, operator: Any) -> Work:
    """Return how much an average pooling does."""
    shape = [int(size) for size in graph.tensors[operator.outputs[0]].shape]
    options = operator.builtinOptions
    return Work(
        elements=math.prod(shape) * options.filterHeight * options.filterWidth,
        rows=math.prod(shape[:-1]),
        inputs=math.prod(int(size) for size in graph.tensors[operator.inputs[0]].shape),
    )


def mean(made: Replacement) -> bool:
    """Make a MEAN of one window that is the whole image; return whether it is that."""
    sizes, sides, factors = _geometry(made)
    if not average_pool.whole(sizes, sides, factors) or _activation(made):
        return False
    axes = made.constant("axes", np.asarray([1, 2], np.int32))
    made.add("MEAN", [made.input, axes], made.output, "ReducerOptions", keepDims=True)
    return True


def depthwise(made: Replacement) -> bool:
    """Make a convolution of windows that are never cut; return whether they are so."""
    _, sides, factors = _geometry(made)
    if not average_pool.convolved(sides, factors) or any(
        factor != 1.0 for axis in factors for factor in axis
    ):
        return False
    _convolution(made, made.output, _activation(made))
    return True


def depthwise_and_product(made: Replacement) -> bool:
    """Make a convolution and a product that makes up for what cut windows lack; return whether it can."""
    _, sides, factors = _geometry(made)
    product = average_pool.product(factors)[None]
    parts = next((n for n in range(1, _MOST) if _are_integers(product * n)), None)
    if parts is None or not average_pool.convolved(sides, factors):
        return False
    shares = _convolution(made, made.tensor("mean", made.shape(made.output), made.grid(made.output)))
    constant = made.constant("uncut", np.rint(product * parts).astype(np.int8), (1 / parts, 0))
    activation = _activation(made)
    made.add("MUL", [shares, constant], made.output, "MulOptions", fusedActivationFunction=activation)
    return True


def _convolution(made: Replacement, output: int, activation: int = 0) -> int:
    """Add the convolution with weights of 1 in a scale that makes each the share of one value."""
    options = made.operator.builtinOptions
    sides, channels = (options.filterHeight, options.filterWidth), made.shape(made.input)[-1]
    share = 1 / math.prod(sides)
    weights = made.constant("weights", np.ones((1, *sides, channels), np.int8), (share, 0))
    bias = made.constant("bias", np.zeros(channels, np.int32), (made.grid(made.input)[0] * share, 0))
    return made.add(
        "DEPTHWISE_CONV_2D",
        [made.input, weights, bias],
        output,
        "DepthwiseConv2DOptions",
        padding=options.padding,
        strideH=options.strideH,
        strideW=options.strideW,
        depthMultiplier=1,
        fusedActivationFunction=activation,
    )


def _geometry(made: Replacement) -> tuple[list[int], tuple[int, int], list[list[float]]]:
    """Return the sizes of the image and of the windows, and their factors."""
    options = made.operator.builtinOptions
    sizes, sides = made.shape(made.input)[1:3], (options.filterHeight, options.filterWidth)
    strides, same = (options.strideH, options.strideW), options.padding == schema.Padding.SAME
    return sizes, sides, average_pool.factors(sizes, sides, strides, same=same)


def _activation(made: Replacement) -> int:
    return int(made.operator.builtinOptions.fusedActivationFunction)


def _are_integers(values: np.ndarray) -> bool:
    return bool(values.max() <= _MOST and np.allclose(values, np.rint(values), rtol=0, atol=1e-6))
