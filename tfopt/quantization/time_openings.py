"""Layers around a layer. TimeDistributed is that layer on a batch in which every step is a sample."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfopt.graph import Parts
from tfopt.quantization.masks import refusal

_ALONG_LAST_AXIS = (keras.layers.Dense, keras.layers.Activation, keras.layers.Dropout)
"""Layers that treat all axes but the last alike."""


def time_distributed(
    _: Parts,
    layer: Any,
    x: keras.KerasTensor,
    training: bool | None = None,  # noqa: ARG001 (Keras's signature)
    mask: Any = None,
) -> keras.KerasTensor:
    """Open a TimeDistributed layer."""
    if mask is not None:
        raise refusal(layer)
    if isinstance(layer.layer, _ALONG_LAST_AXIS):
        return layer.layer(x)
    steps, *sizes = x.shape[1:]
    y = layer.layer(ops.reshape(x, (-1, *sizes)))
    return ops.reshape(y, (-1, steps, *y.shape[1:]))


def wrapped(_: Parts, layer: Any, x: keras.KerasTensor, training: bool | None = None) -> keras.KerasTensor:  # noqa: ARG001
    """Open a wrapper that only training knows of as the layer in it."""
    return layer.layer(x)
