"""Matrices of weights that code multiplies by: `ops.matmul(x, self.kernel)` is a Dense without a bias."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras

from tfopt.graph import Constant, producer
from tfopt.quantization.canonicalize.masked_kernels import masked_kernel
from tfopt.quantization.canonicalize.rewrite_context import RewriteContext

Tensor: TypeAlias = keras.KerasTensor


def matmul(context: RewriteContext, operation: Any, one: Any, other: Any) -> Tensor | None:
    """Return a product with a variable's matrix as that of a Dense layer; None of two tensors.

    The layer has the very variable. All products with it are calls of the one layer, so that its weights have
    one grid. One that is read elsewhere too stays one layer, for two that share a variable are saved apart.
    """
    del operation
    masked = masked_kernel(other)
    constant = masked or _matrix(other)
    if (
        constant is None
        or not (constant.only_multiplied or masked)
        or len(constant.shape) != 2
        or not isinstance(one, keras.KerasTensor)
        or len(one.shape) < 2
    ):
        return None
    return context.sibling(constant.name, "matrix").layer(lambda name: _dense_of(constant, name))(one)


def _matrix(value: Any) -> Constant | None:
    """Return the layer that holds a matrix, where a tensor is its output."""
    maker = producer(value) if isinstance(value, keras.KerasTensor) and len(value.shape) == 2 else None
    return maker.operation if maker is not None and isinstance(maker.operation, Constant) else None


def _dense_of(constant: Constant, name: str) -> keras.layers.Dense:
    layer = keras.layers.Dense(
        constant.shape[1],
        use_bias=False,
        kernel_regularizer=constant.regularizer,
        kernel_constraint=constant.constraint,
        trainable=constant.trainable,
        dtype=constant.dtype_policy,
        name=name,
    )
    layer.add_weight = lambda **_: constant.value  # for a kernel of its own there is no use
    layer.build((None, constant.shape[0]))
    del layer.add_weight
    layer.tfopt_of_code = True
    return layer
