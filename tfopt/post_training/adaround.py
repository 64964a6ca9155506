"""Choosing for each weight whether it is rounded up or down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tfopt import _validation, graph
from tfopt.data.representative import Representative
from tfopt.post_training.copies import called_once, flat_copy, with_weights_of
from tfopt.post_training.kernels import Bits, KernelAxes, nearest, value
from tfopt.post_training.patches import MATRIX_LAYERS, as_matrices, from_matrices, rows
from tfopt.post_training.rounding import grids, round_kernels
from tfopt.post_training.samples import samples_of
from tfopt.post_training.side_by_side import Call, side_by_side

STRETCH = (-0.1, 1.1)
"""The rectified sigmoid reaches 0 and 1 because it is cut out of one between these (equation 23)."""
BETAS = (20.0, 2.0)
"""The exponent of the regularizer at its start and at the end (equation 24)."""
WARMUP = 0.2
"""The share of iterations before the regularizer begins."""
WEIGHT = 10.0
"""Of the regularizer, in units of the error of rounding to nearest for each weight."""
LEARNING_RATE = 0.03
CHUNK = 8
"""Samples at a time whose patches are held."""


@dataclass(frozen=True)
class Problem:
    """The rounding of one kernel, as matrices of shape (groups, weights, outputs).

    X are the rows that the layer sees in the rounded model, Y what it returned in the float model, and D is
    by how much rounded weights differ from W: the mean of |X (W + D) - Y|^2 is
    tr(D' squares D) + 2 tr(D' products) + power.

    Attributes:
        weights: the float kernel.
        scale: of its grid, the distance of two neighbouring values.
        last: the largest integer of the grid, 127 or 7.
        squares: mean of X'X, of shape (groups, weights, weights).
        products: mean of X'(X W - Y).
        power: mean of (X W - Y)^2, of shape (groups, outputs).
    """

    weights: np.ndarray
    scale: np.ndarray
    last: int
    squares: np.ndarray
    products: np.ndarray
    power: np.ndarray

    def errors(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean squared error of each output channel, of shape (groups, outputs)."""
        change = weights - self.weights
        return np.sum(change * (self.squares @ change + 2 * self.products), axis=1) + self.power


def adaround(
    model: keras.Model,
    data: Representative,
    *,
    bits: Bits = 8,
    per_channel: bool = True,
    iterations: int = 500,
) -> keras.Model:
    """Return a copy of `model` with weights rounded so that its layers' outputs change least.

    Rounding each weight to the nearest value is the best for that weight, not for the sum that it is a part
    of. Layer by layer, in the order in which they run, each weight is moved to one of its two neighbours on
    the grid: those that bring the layer's outputs on `data`, with the layers before it rounded, closest to
    the float model's. A channel for which none better is found is rounded to the nearest. The weights of the
    result stand on the grid that `to_tflite` finds, so that they reach the file as they are.

    Rounded are Dense, Conv1D, Conv2D, DepthwiseConv1D and DepthwiseConv2D that the model calls once;
    others stay in float.

    Args:
        model: a built Sequential or functional model in float.
        data: representative samples, as `tfopt.to_tflite` takes them.
        bits: in which the weights will be held, 8 or 4; by layer path where they differ.
        per_channel: whether each output channel will have a scale of its own.
        iterations: steps of the optimization of each layer, 1 or more.

    Raises:
        UnsupportedModel: the model is subclassed, and its code cannot be read.
        InvalidArgumentError: the model is quantization-aware, or an argument does not fit.
        DataError: the data is empty or holds NaN.

    Reference:
        Nagel et al., 2020, Up or Down? Adaptive Rounding for Post-Training Quantization (arXiv 2004.10568),
        equations 21 to 25, without the activation function in 25: the error is then a quadratic form, and
        each step costs the same however much data there is.
    """
    _validation.whole("adaround", "iterations", iterations, at_least=1)
    exact, rounded, result = flat_copy(model), flat_copy(model), flat_copy(model)
    arrays = samples_of(exact, data)
    once = called_once(graph.nodes(exact))
    scales = {
        (grid.node.path, grid.kernel.name): (grid.kernel, grid.scale)
        for grid in grids(exact, bits, per_channel)
        if id(grid.node.operation) in once and type(grid.node.operation).__name__ in MATRIX_LAYERS
    }
    round_kernels(rounded, bits, per_channel)
    for call in side_by_side(exact, rounded, arrays):
        if (call.path, "kernel") in scales:
            kernel, scale = scales[call.path, "kernel"]
            weights = _rounded(call, kernel, scale, iterations)
            result.get_layer(call.path).kernel.assign(weights)
            rounded.get_layer(call.path).set_weights(result.get_layer(call.path).get_weights())
    return with_weights_of(model, result)


def _rounded(call: Call, kernel: KernelAxes, scale: np.ndarray, iterations: int) -> np.ndarray:
    layer: Any = call.float_node.operation
    weights = value(layer, kernel)
    grid = np.broadcast_to(scale, weights.shape)
    last = round(float(np.max(np.abs(weights / grid))))
    squares, products, power = _moments(call, as_matrices(layer, weights))
    problem = Problem(as_matrices(layer, weights), as_matrices(layer, grid), last, squares, products, power)
    plain = as_matrices(layer, nearest(weights, scale))
    found = solve(problem, iterations)
    better = problem.errors(found) < problem.errors(plain)
    return from_matrices(layer, np.where(better[:, np.newaxis], found, plain), weights.shape)


def _moments(call: Call, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return `squares`, `products` and `power`, see `Problem`."""
    layer = call.float_node.operation
    (exact, *_), (seen, *_) = call.float_arguments[0], call.rounded_arguments[0]
    squares, products, power = (np.zeros((), np.float32) for _ in range(3))
    count = 0
    for start in range(0, len(seen), CHUNK):
        x = rows(layer, seen[start : start + CHUNK])
        shift = (x - rows(layer, exact[start : start + CHUNK])) @ weights
        transposed = np.swapaxes(x, 1, 2)
        squares = squares + transposed @ x
        products = products + transposed @ shift
        power = power + np.sum(shift**2, axis=1)
        count += x.shape[1]
    return squares / count, products / count, power / count


def solve(problem: Problem, iterations: int) -> np.ndarray:
    """Return weights on the grid, by Adam on V with rounding h(V) between the neighbours of each weight."""
    low, high = STRETCH
    scaled = problem.weights / problem.scale
    # What is at a limit of the grid sets its scale: moved, the file would find another.
    limits = np.abs(scaled) > problem.last - 1e-3
    floor = np.where(limits, np.round(scaled), np.floor(scaled))
    fraction = np.clip(scaled - floor, 0.0, 1.0) * ~limits
    share = np.clip((fraction - low) / (high - low), 1e-6, 1 - 1e-6)
    v = np.log(share / (1 - share)).astype(np.float32)
    nearest_error = problem.errors((floor + np.round(fraction)) * problem.scale)
    # In units of the error of rounding to nearest, so that one weight of the regularizer fits all layers.
    unit = problem.weights.shape[1] / np.maximum(nearest_error, 1e-12)[:, np.newaxis]
    moments = (np.zeros_like(v), np.zeros_like(v))
    for iteration in range(iterations):
        sigmoid = 1 / (1 + np.exp(-v))
        h = np.clip(sigmoid * (high - low) + low, 0.0, 1.0)
        change = (floor + h) * problem.scale - problem.weights
        gradient = unit * 2 * (problem.squares @ change + problem.products) * problem.scale
        progress = (iteration / iterations - WARMUP) / (1 - WARMUP)
        if progress > 0:
            beta = BETAS[1] + 0.5 * (BETAS[0] - BETAS[1]) * (1 + np.cos(np.pi * progress))
            centred = 2 * h - 1
            gradient -= WEIGHT * 2 * beta * np.abs(centred) ** (beta - 1) * np.sign(centred)
        slope = np.where((h > 0) & (h < 1), (high - low) * sigmoid * (1 - sigmoid), 0.0)
        v = _adam(v, gradient * slope, moments, iteration + 1)
    up = np.where(limits, 0.0, v > 0)
    integers = np.clip(floor + up, -problem.last, problem.last)
    return (integers * problem.scale).astype(np.float32)


def _adam(
    v: np.ndarray, gradient: np.ndarray, moments: tuple[np.ndarray, np.ndarray], count: int
) -> np.ndarray:
    mean, square = moments
    mean += 0.1 * (gradient - mean)
    square += 0.001 * (gradient**2 - square)
    return v - LEARNING_RATE * (mean / (1 - 0.9**count)) / (np.sqrt(square / (1 - 0.999**count)) + 1e-8)
