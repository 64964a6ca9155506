"""Normalizations of each sample, where a rule asks for 16 bits; in 8 they stay in float."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import keras

from tfopt.quantization.canonicalize.rewrite.arithmetic import of_rank, product, scaled
from tfopt.quantization.canonicalize.rewrite.int16_normalization import (
    centred,
    divided,
    in_rows,
    permuted,
    reshaped,
)
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext
from tfopt.quantization.layers.channel_affine import Affine
from tfopt.quantization.layers.unit_norm import UnitVectors

Tensor: TypeAlias = keras.KerasTensor

_TRAINING = ("beta_regularizer", "gamma_regularizer", "beta_constraint", "gamma_constraint")
"""What a normalization may be told about its weights."""


def layer(context: RewriteContext, norm: Any, x: Tensor) -> Tensor | None:
    """Rewrite LayerNormalization (Ba et al., 2016, Layer Normalization, arXiv 1607.06450)."""

    def body(rows: Tensor) -> Tensor:
        rows = divided(context, centred(context, rows), norm.epsilon)
        return _affine(context, norm, rows, norm.gamma, norm.beta)

    return None if norm.rms_scaling else in_rows(context, norm.axis, x, body)


def rms(context: RewriteContext, norm: Any, x: Tensor) -> Tensor | None:
    """Rewrite RMSNormalization (Zhang and Sennrich, 2019, arXiv 1910.07467)."""

    def body(rows: Tensor) -> Tensor:
        return _affine(context, norm, divided(context, rows, norm.epsilon), norm.scale, None)

    return in_rows(context, norm.axis, x, body)


def unit(context: RewriteContext, norm: Any, x: Tensor) -> Tensor | None:
    """Rewrite UnitNormalization, which divides by the root of a sum."""

    def body(rows: Tensor) -> Tensor:
        return _affine(context, norm, divided(context, rows, 0.0, weight=1.0), None, None)

    result = in_rows(context, norm.axis, x, body)
    return context.layer(UnitVectors, norm.axis, dtype=norm.dtype_policy)(x) if result is None else result


def normalize(context: RewriteContext, operation: Any, x: Tensor) -> Tensor | None:
    """Rewrite `ops.normalize` to the length 1."""
    if operation.order != 2:
        return None
    least = (keras.config.epsilon() if operation.epsilon is None else operation.epsilon) ** 2
    return context.layer(UnitVectors, operation.axis, least, dtype=x.dtype)(x)


def group(context: RewriteContext, norm: Any, x: Tensor) -> Tensor | None:
    """Rewrite GroupNormalization (Wu and He, 2018, Group Normalization, arXiv 1803.08494)."""
    channels = x.shape[norm.axis]

    def body(pixels: Tensor) -> Tensor:
        count, each = math.prod(pixels.shape[1:-1]), channels // norm.groups
        split = reshaped(context, "split", pixels, (count, norm.groups, each))
        groups = permuted(context, "by_group", split, (2, 1, 3))
        rows = reshaped(context, "groups", groups, (norm.groups, count * each))
        rows = divided(context, centred(context, rows), norm.epsilon)
        groups = reshaped(context, "pixels", rows, groups.shape[1:])
        split = permuted(context, "by_pixel", groups, (2, 1, 3))
        joined = reshaped(context, "joined", split, (count, channels))
        return _affine(context, norm, joined, norm.gamma, norm.beta)

    return in_rows(context, norm.axis, x, body)


def layer_operation(
    context: RewriteContext, norm: Any, x: Tensor, gamma: Any = None, beta: Any = None
) -> Tensor | None:
    """Rewrite `ops.layer_normalization` over one axis."""

    def body(rows: Tensor) -> Tensor:
        rows = divided(context, centred(context, rows), _epsilon(norm))
        return _by_tensors(context, rows, gamma, beta)

    return in_rows(context, norm.axis, x, body) if _one(norm.axis) and not norm.rms_scaling else None


def rms_operation(context: RewriteContext, norm: Any, x: Tensor, scale: Any = None) -> Tensor | None:
    """Rewrite `ops.rms_normalization` over one axis."""

    def body(rows: Tensor) -> Tensor:
        return _by_tensors(context, divided(context, rows, _epsilon(norm)), scale, None)

    return in_rows(context, norm.axis, x, body) if _one(norm.axis) else None


def _one(axes: Any) -> bool:
    return isinstance(axes, int) or len(axes) == 1


def _epsilon(norm: Any) -> float:
    return keras.config.epsilon() if norm.epsilon is None else norm.epsilon


def _affine(context: RewriteContext, norm: Any, x: Tensor, gamma: Any, beta: Any) -> Tensor:
    """Return the output of a layer of normalized values, in its dtype."""
    weights = [weight for weight in (gamma, beta) if weight is not None]
    if not weights:
        same = x.dtype == norm.compute_dtype
        return x if same else context.layer(keras.layers.Identity, dtype=norm.dtype_policy)(x)
    affine = context.layer(
        Affine,
        weights[0].shape,
        center=beta is not None,
        scale=gamma is not None,
        trainable=norm.trainable,
        dtype=norm.dtype_policy,
        weights=weights,
        **{name: getattr(norm, name, None) for name in _TRAINING},
    )
    return affine(x)


def _by_tensors(context: RewriteContext, x: Tensor, gamma: Any, beta: Any) -> Tensor:
    """Return normalized values times `gamma` plus `beta`: tensors or arrays of the last axis, or None."""
    if isinstance(gamma, keras.KerasTensor):
        x = product(context.part("gamma"), x, gamma)
    elif gamma is not None:
        x = scaled(context.part("gamma"), x, gamma, 0.0)
    if isinstance(beta, keras.KerasTensor):
        return context.part("beta").layer(keras.layers.Add, dtype=x.dtype)([x, of_rank(beta, len(x.shape))])
    return x if beta is None else scaled(context.part("beta"), x, 1.0, beta)
