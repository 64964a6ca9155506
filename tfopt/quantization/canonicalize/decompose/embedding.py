"""Embeddings that also project back to their tokens."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
from keras import ops

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Parts
from tfopt.quantization.layers.tied_embedding import TiedEmbedding

Tensor: TypeAlias = keras.KerasTensor


def reversible(parts: Parts, layer: Any, x: Tensor, reverse: bool = False) -> Tensor:
    """Decompose ReversibleEmbedding into a `TiedEmbedding`, or, of two tables, an Embedding and a Dense."""
    if not reverse and layer.mask_zero and layer.compute_mask(x) is None:
        raise UnsupportedOperation(
            f"The mask of {layer.name!r} (ReversibleEmbedding with mask_zero=True) is not in the graph of "
            "the model: Keras makes it only while the model runs. Build the layer with mask_zero=False and "
            "give the layers that read the mask `keras.ops.not_equal(tokens, 0)`."
        )
    if not reverse and not keras.backend.is_int_dtype(x.dtype):
        x = ops.cast(x, "int32")
    if reverse and not layer.tie_weights:
        kernel = layer.reverse_embeddings
        y = parts(
            "reverse",
            keras.layers.Dense,
            layer.input_dim,
            use_bias=False,
            trainable=layer.trainable,
            dtype=layer.dtype_policy,
            weights=[kernel],
        )(x)
    else:
        y = parts(
            "table",
            TiedEmbedding if layer.tie_weights else keras.layers.Embedding,
            layer.input_dim,
            layer.output_dim,
            embeddings_regularizer=layer.embeddings_regularizer,
            embeddings_constraint=layer.embeddings_constraint,
            trainable=layer.trainable,
            dtype=layer.dtype_policy,
            weights=[layer.embeddings],
        )(x)
    cap = layer.logit_soft_cap if reverse else None
    return y if cap is None else ops.multiply(ops.tanh(ops.divide(y, cap)), cap)
