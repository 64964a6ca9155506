"""The masks of sequences that cannot be followed."""

from __future__ import annotations

import keras

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Node, calls, inner_layers, mask_of

READERS = (
    keras.layers.RNN,
    keras.layers.Bidirectional,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
    keras.layers.GlobalAveragePooling1D,
)
"""Layers that compute something else where a mask comes with their input."""


def require_none_lost(model: keras.Model) -> None:
    """Raise where a mask comes out of a nested model: Keras hands it on while the model runs, unseen.

    Raises:
        UnsupportedOperation: a layer after the nested model would read it.
    """
    masked: set[int] = set()
    for node in calls(model):
        if _hands_on(node, masked):
            masked |= {id(tensor) for tensor in node.outputs if mask_of(tensor) is None}
        if not any(id(tensor) in masked for tensor in node.inputs):
            continue
        inner = [node.operation]
        if isinstance(node.operation, keras.Layer):
            inner += inner_layers(node.operation)
        if any(isinstance(layer, READERS) for layer in inner):
            raise UnsupportedOperation(
                f"The layer {node.path!r} ({type(node.operation).__name__}) reads a mask that comes out of a "
                "nested model, whose graph does not show it: call the layers of the nested model one by one, "
                "or remove Masking and mask_zero=True from them; all steps count then."
            )


def _hands_on(node: Node, masked: set[int]) -> bool:
    if node.nested is None:
        handed = isinstance(node.operation, keras.Layer) and node.operation.supports_masking
        return handed and any(id(tensor) in masked for tensor in node.inputs)
    given = any(mask_of(tensor) is not None or id(tensor) in masked for tensor in node.inputs)
    return given or any(mask_of(tensor) is not None for tensor in node.nested.outputs)
