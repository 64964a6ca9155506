"""A convolution as a multiplication of matrices: what each output value is made of, as a row."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

MATRIX_LAYERS = ("Dense", "Conv1D", "Conv2D", "DepthwiseConv1D", "DepthwiseConv2D")
"""The Keras classes that `rows` and `as_matrices` are for."""


def rows(layer: Any, inputs: tf.Tensor) -> np.ndarray:
    """Return what the outputs of `layer` are sums of, of shape (groups, outputs, weights).

    Args:
        layer: of one of `MATRIX_LAYERS`, channels last.
        inputs: what it is called with, samples first.
    """
    if isinstance(layer, keras.layers.Dense):
        return np.reshape(inputs, (1, -1, inputs.shape[-1]))
    one = len(inputs.shape) == 3
    window = [*([1] if one else []), *layer.kernel_size]
    if one:
        before = layer.dilation_rate[0] * (layer.kernel_size[0] - 1) if layer.padding == "causal" else 0
        inputs = tf.pad(inputs, [[0, 0], [before, 0], [0, 0]])[:, tf.newaxis]
    around = [[1, *([1] if one else []), *sizes, 1] for sizes in (layer.strides, layer.dilation_rate)]
    padding = "SAME" if layer.padding == "same" else "VALID"
    found = tf.image.extract_patches(inputs, [1, *window, 1], *around, padding)
    groups = _groups(layer)
    places = int(np.prod(window))
    split = np.reshape(found, (-1, places, groups, inputs.shape[-1] // groups))
    return np.moveaxis(split, 2, 0).reshape(groups, len(split), -1)


def as_matrices(layer: Any, kernel: np.ndarray) -> np.ndarray:
    """Return a kernel, or anything of its shape, of shape (groups, weights, outputs)."""
    groups = _groups(layer)
    if isinstance(layer, keras.layers.Dense):
        return kernel[np.newaxis]
    if _is_depthwise(layer):
        return np.moveaxis(kernel, -2, 0).reshape(groups, -1, kernel.shape[-1])
    split = kernel.reshape(-1, groups, kernel.shape[-1] // groups)
    return np.moveaxis(split, 1, 0)


def from_matrices(layer: Any, matrices: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the kernel of `shape` that `as_matrices` has turned into `matrices`."""
    if isinstance(layer, keras.layers.Dense):
        return matrices[0]
    if _is_depthwise(layer):
        return np.moveaxis(matrices.reshape(shape[-2], *shape[:-2], shape[-1]), 0, -2)
    return np.moveaxis(matrices, 0, 1).reshape(shape)


def _is_depthwise(layer: Any) -> bool:
    return type(layer).__name__.startswith("DepthwiseConv")


def _groups(layer: Any) -> int:
    if _is_depthwise(layer):
        return layer.kernel.shape[-2]
    return getattr(layer, "groups", 1)
