"""Batch normalizations multiplied into the kernels before them, for files with one scale a kernel.

A file multiplies them in anyway. After rounding to one scale that makes a scale a channel of it.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tfopt import graph
from tfopt.post_training.copies import called_once, flat_copy, readers, with_weights_of
from tfopt.post_training.kernels import KernelAxes, kernels_of, norm_factors, normalizes_channels, value


def with_norms_in_kernels(model: keras.Model) -> keras.Model:
    """Return a copy of a model that computes the same, whose batch normalizations multiply by 1.

    Those after another layer than one with a kernel, after an activation, or in several places stay.

    Args:
        model: any built model in float.
    """
    flat = flat_copy(model)
    nodes, reader = graph.nodes(flat), readers(flat)
    once = called_once(nodes)
    for node in nodes:
        layer, after = node.operation, reader.get(id(node.outputs[0]))
        kernels = kernels_of(layer)
        if not kernels or layer.activation is not keras.activations.linear or not normalizes_channels(after):
            continue
        if after is not None and {id(layer), id(after.operation)} <= once:
            _multiply_in(after.operation, layer, kernels[-1])
    return with_weights_of(model, flat)


def _multiply_in(norm: Any, layer: Any, kernel: KernelAxes) -> None:
    factors, weights = norm_factors(norm), value(layer, kernel)
    shape = [weights.shape[axis] if axis in kernel.outputs else 1 for axis in range(-weights.ndim, 0)]
    getattr(layer, kernel.name).assign(weights * factors.reshape(shape))
    if layer.bias is not None:
        layer.bias.assign(layer.bias * factors)
    norm.moving_mean.assign(norm.moving_mean * factors)
    norm.moving_variance.assign(np.full(factors.shape, 1.0 - norm.epsilon, "float32"))
    if norm.scale:
        norm.gamma.assign(np.ones_like(factors))
