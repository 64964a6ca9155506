"""The masks of sequences, which a file of integers has no form for."""

from __future__ import annotations

import keras

from tfopt.errors import UnsupportedOperation
from tfopt.graph import inner_layers

_READERS = (
    keras.layers.RNN,
    keras.layers.Bidirectional,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
)
"""Layers that compute something else where a mask comes with their input."""


def refusal(layer: keras.Layer) -> UnsupportedOperation:
    """Return the error to raise for a layer that reads a mask."""
    return UnsupportedOperation(
        f"The layer {layer.name!r} ({type(layer).__name__}) reads a mask, and a file of integers cannot skip "
        "steps: remove Masking and mask_zero=True from the layers before it; all steps count then."
    )


def require_none_hidden(model: keras.Model) -> None:
    """Raise where a mask may reach a layer inside another one: Keras hands it on unseen in the graph.

    Raises:
        UnsupportedOperation: the model makes masks, and holds a layer that reads them inside another layer.
    """
    makes = any(
        getattr(layer, "mask_zero", False) or isinstance(layer, keras.layers.Masking)
        for layer in inner_layers(model)
    )
    for outer in model.layers if makes else ():
        if isinstance(outer, _READERS):
            continue  # the graph tells whether a mask reaches it
        for layer in inner_layers(outer):
            if isinstance(layer, _READERS):
                raise refusal(layer)
