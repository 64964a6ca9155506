"""Attention layers as what they are made of."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
from keras import ops

from tfopt.graph import Parts, mask_of, open_call

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
    """
    given = {
        "query_mask": query,
        "value_mask": value,
        "key_mask": kwargs.get("key", args[0] if args else None),
    }
    for name, tensor in given.items():
        if kwargs.get(name) is None and tensor is not None:
            kwargs[name] = mask_of(tensor)
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


def single_head(parts: Parts, layer: Any, inputs: list[Tensor], mask: Any = None, **kwargs: Any) -> Any:
    """Open Attention and AdditiveAttention."""
    masks = [mask_of(tensor) for tensor in inputs] if mask is None else mask
    return open_call(
        parts, layer, inputs, mask=masks if any(each is not None for each in masks) else None, **kwargs
    )
