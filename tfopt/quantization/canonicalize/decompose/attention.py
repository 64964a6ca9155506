"""Attention layers as products of matrices and a softmax."""

from __future__ import annotations

import contextlib
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from tfopt.graph import Parts, attention_dropout, attention_masked, decompose_call, mask_of, set_mask

Tensor: TypeAlias = keras.KerasTensor

MASKED = -1e9
"""The value that Keras gives a masked score."""


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
    """Decompose MultiHeadAttention and GroupedQueryAttention.

    A layer that returns its scores computes them; else Keras calls one operation that hides them.
    """
    given = {
        "query_mask": query,
        "value_mask": value,
        "key_mask": kwargs.get("key", args[0] if args else None),
    }
    for name, tensor in given.items():
        kwargs.setdefault(name, None)
        if kwargs[name] is None and tensor is not None:
            kwargs[name] = mask_of(tensor)
    if kwargs["query_mask"] is not None:  # the code reads it there
        set_mask(query, kwargs["query_mask"])
    if use_causal_mask and attention_mask is None:
        # With a mask of its own, the causal one is made while the length of the sequence is known.
        attention_mask = ops.ones((1, query.shape[1], value.shape[1]), "bool")
    fused = not return_attention_scores and attention_dropout(layer) == 0.0 and len(query.shape) == 3
    with attention_masked(layer, _masked_as_fused) if fused else contextlib.nullcontext():
        outputs = decompose_call(
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


def _masked_as_fused(scores: Tensor, attention_mask: Tensor) -> Tensor:
    """Mask scores as the fused operation does: a query with no key weighs all alike, not none."""
    while len(attention_mask.shape) < len(scores.shape):
        attention_mask = ops.expand_dims(attention_mask, -3)  # heads
    return ops.where(attention_mask, scores, MASKED)


def single_head(parts: Parts, layer: Any, inputs: list[Tensor], mask: Any = None, **kwargs: Any) -> Any:
    """Decompose Attention and AdditiveAttention."""
    masks = [mask_of(tensor) for tensor in inputs] if mask is None else mask
    return decompose_call(
        parts, layer, inputs, mask=masks if any(each is not None for each in masks) else None, **kwargs
    )


def operation(
    _: Parts,
    operation: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
) -> Tensor | None:
    """Decompose `ops.dot_product_attention` of tensors (batch, steps, heads, features) with equal heads."""
    soft_cap = getattr(operation, "attn_logits_soft_cap", None)
    if query.shape[2] != key.shape[2] or soft_cap is not None or None in (query.shape[1], key.shape[1]):
        return None
    query, key, value = (ops.transpose(x, (0, 2, 1, 3)) for x in (query, key, value))
    scale = key.shape[-1] ** -0.5 if scale is None else scale
    scores = ops.matmul(query * scale, ops.transpose(key, (0, 1, 3, 2)))
    if bias is not None:
        scores = scores + bias
    if operation.is_causal:
        causal = np.tri(query.shape[2], key.shape[2], dtype="bool")[None, None]
        mask = causal if mask is None else ops.logical_and(mask, causal)
    if mask is not None:
        scores = ops.where(mask, scores, MASKED)
    return ops.transpose(ops.matmul(ops.softmax(scores), value), (0, 2, 1, 3))
