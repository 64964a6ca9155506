"""Kernels that code multiplies by a mask, as masked convolutions and MADE do: zeros that training keeps.

A file has the product alone. Here the kernel itself has the zeros, and its constraint holds them.

Reference:
    van den Oord et al., 2016, Pixel Recurrent Neural Networks (arXiv 1601.06759), section 3.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Constant, producer
from tfopt.pruning import SparsityMask


def masked_kernel(kernel: Any) -> Constant | None:
    """Return the layer that holds a kernel which a mask multiplies, with its zeros; None for others."""
    product = producer(kernel) if isinstance(kernel, keras.KerasTensor) else None
    if product is None or type(product.operation).__name__ != "Multiply":
        return None
    makers = [producer(x) for x in product.inputs]
    held: list[Constant] = [
        maker.operation
        for maker in makers
        if maker is not None and isinstance(maker.operation, Constant) and maker.operation.mask is not None
    ]
    if len(held) != 1 or len(held[0].shape) != len(kernel.shape):
        return None
    (constant,) = held
    variable, mask = constant.value, constant.mask
    if mask is not None and not _has_its_mask(constant):
        variable.constraint = SparsityMask(mask, variable.constraint)
        variable.constraint.of_code = True
        variable.assign(tf.where(mask, variable, tf.zeros_like(variable)))
    constant.constraint = variable.constraint
    return constant


def _has_its_mask(constant: Constant) -> bool:
    return getattr(constant.value.constraint, "of_code", False)


def require_masked(constants: Iterable[Constant]) -> None:
    """Raise where a kernel that was given its zeros turned out to be read without its mask too.

    Args:
        constants: of the traces, which know of all that reads them.

    Raises:
        UnsupportedOperation: the message names it.
    """
    for constant in constants:
        if isinstance(constant.value, keras.Variable) and _has_its_mask(constant) and constant.mask is None:
            raise UnsupportedOperation(
                f"The kernel {constant.name!r} is read under a mask in one place, and without it or under "
                "another in a second. Give each of them a variable of its own."
            )
