"""Attention layers as what they are made of."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
from keras import ops

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Parts, open_call
from tfopt.quantization.masks import refusal

Tensor: TypeAlias = keras.KerasTensor


def multi_head(
    parts: Parts,
    layer: Any,
    query: Tensor,
    value: Tensor,
    *args: Any,
    use_causal_mask: bool = False,
    return_attention_scores: bool = False,
    attention_mask: Any = None,
    **kwargs: Any,
) -> Any:
    """Open MultiHeadAttention and GroupedQueryAttention.

    Asked for its scores, a layer computes them; else Keras calls one operation that hides them.

    Raises:
        UnsupportedOperation: the layer reads the mask of an Embedding or a Masking layer.
    """
    if parts.masked:
        raise refusal(layer)
    if use_causal_mask and attention_mask is None:
        # With a mask of its own, the causal one is made while the length of the sequence is known.
        attention_mask = ops.ones((1, query.shape[1], value.shape[1]), "bool")
    outputs = open_call(
        parts,
        layer,
        query,
        value,
        *args,
        use_causal_mask=use_causal_mask,
        attention_mask=attention_mask,
        return_attention_scores=True,
        **kwargs,
    )
    return outputs if return_attention_scores or outputs is None else outputs[0]


def single_head(
    parts: Parts,
    layer: Any,
    inputs: list[Tensor],
    mask: Any = None,
    use_causal_mask: bool = False,
    **kwargs: Any,
) -> Any:
    """Open Attention and AdditiveAttention.

    Raises:
        UnsupportedOperation: the layer has a mask; it adds -1e9, which no range of integers can hold.
    """
    if parts.masked or mask is not None:
        raise refusal(layer)
    if use_causal_mask:
        raise UnsupportedOperation(
            f"The layer {layer.name!r} ({type(layer).__name__}) has a causal mask, which int8 has no rule "
            "for: use MultiHeadAttention(1, width) with use_causal_mask=True."
        )
    return open_call(parts, layer, inputs, **kwargs)
