"""Layers around a layer. TimeDistributed is that layer on a batch in which every step is a sample."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Parts, adds_losses, inner_layers
from tfopt.quantization.canonicalize.sequence_masks import READERS

_ALONG_LAST_AXIS = (keras.layers.Dense, keras.layers.Activation, keras.layers.Dropout)
"""Layers that treat all axes but the last alike."""


def time_distributed(
    _: Parts,
    layer: Any,
    x: keras.KerasTensor,
    mask: Any = None,
) -> keras.KerasTensor:
    """Decompose a TimeDistributed layer."""
    inner = layer.layer
    if mask is not None and any(isinstance(each, READERS) for each in (inner, *inner_layers(inner))):
        raise UnsupportedOperation(
            f"The layer {layer.name!r} (TimeDistributed) hands the mask of each step to {inner.name!r}, for "
            "which int8 has no rule: remove Masking and mask_zero=True from the layers before it."
        )
    inner.activity_regularizer = None  # Keras runs the code of the layer, and does not call it
    if any(
        each.activity_regularizer is not None or adds_losses(each) for each in (inner, *inner_layers(inner))
    ):
        return ops.stack([inner(each) for each in ops.unstack(x, axis=1)], axis=1)  # for a loss in each step
    if isinstance(inner, _ALONG_LAST_AXIS):
        return inner(x)
    steps, *sizes = x.shape[1:]
    y = inner(ops.reshape(x, (-1, *sizes)))
    return ops.reshape(y, (-1, steps, *y.shape[1:]))


def wrapped(_: Parts, layer: Any, x: keras.KerasTensor) -> keras.KerasTensor:
    """Decompose a wrapper that only training knows of into the layer in it."""
    return layer.layer(x)
