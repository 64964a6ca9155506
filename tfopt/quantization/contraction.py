"""Sums of products as Dense layers and matrix products, which have int8 kernels: einsum, EinsumDense, Dot."""

from __future__ import annotations

import dataclasses
import math
import string
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from tfopt.errors import UnsupportedOperation
from tfopt.graph import Constant, Parts, as_array
from tfopt.pruning import SparsityMask

Tensor: TypeAlias = keras.KerasTensor


@dataclasses.dataclass(frozen=True)
class Contraction:
    """The letters of `one,other->result`, by what becomes of them.

    Attributes:
        one, other, result: as in the equation.
        batch: in all three.
        summed: in both operands and not in the result.
        left, right: in the result and in one operand only.
    """

    one: str
    other: str
    result: str
    batch: str
    summed: str
    left: str
    right: str


def parsed(equation: str, one_rank: int, other_rank: int) -> Contraction | None:
    """Return the parts of an equation; None for diagonals, and sums over what one operand alone has."""
    if "->" not in equation or equation.count(",") != 1:
        return None
    operands, result = equation.replace(" ", "").split("->")
    one, other = operands.split(",")
    free = [letter for letter in string.ascii_letters if letter not in equation]

    def spelled(operand: str, rank: int) -> str:
        count = rank - len(operand.replace("...", ""))
        return operand.replace("...", "".join(free[:count][::-1]))

    one, other = spelled(one, one_rank), spelled(other, other_rank)
    dots = max((x for x in free[: max(one_rank, other_rank)] if x in one + other), key=free.index, default="")
    result = result.replace("...", "".join(free[: free.index(dots) + 1][::-1]) if dots else "")
    batch = "".join(x for x in result if x in one and x in other)
    summed = "".join(x for x in one if x in other and x not in result)
    left = "".join(x for x in result if x in one and x not in other)
    right = "".join(x for x in result if x in other and x not in one)
    whole = (
        sorted(one) == sorted(batch + summed + left)
        and sorted(other) == sorted(batch + summed + right)
        and sorted(result) == sorted(batch + left + right)
        and all(len(set(x)) == len(x) for x in (one, other, result))
    )
    return Contraction(one, other, result, batch, summed, left, right) if whole else None


def einsum(parts: Parts, operation: Any, *operands: Any) -> Tensor | None:
    """Open `ops.einsum` of two tensors, or of a tensor and an array or variable."""
    return _in_either_order(parts, operation.subscripts, *operands) if len(operands) == 2 else None


def _in_either_order(parts: Parts, equation: str, one: Any, other: Any) -> Tensor | None:
    if not isinstance(one, keras.KerasTensor):  # the order of factors does not matter
        one, other = other, one
        operands, result = equation.replace(" ", "").split("->") if "->" in equation else ("", "")
        equation = ",".join(reversed(operands.split(","))) + "->" + result
    return contracted(parts, equation, one, other)


def tensordot(parts: Parts, operation: Any, one: Any, other: Any) -> Tensor | None:
    """Open `ops.tensordot`."""
    axes = operation.axes
    if isinstance(axes, int):
        axes = range(-axes, 0), range(axes)
    first, second = ([axis] if isinstance(axis, int) else list(axis) for axis in axes)
    return _summed(parts, one, other, first, second)


def _summed(parts: Parts, one: Any, other: Any, first: Sequence[int], second: Sequence[int]) -> Tensor | None:
    """Return the sums of products over pairs of axes; None of two tensors whose batches would multiply."""
    if isinstance(one, keras.KerasTensor) and isinstance(other, keras.KerasTensor):
        # In a layer that is opened, a variable is a tensor too, one without a batch.
        kernel = len(other.shape) == 2 and None not in other.shape
        last, start = {axis % len(one.shape) for axis in first}, {axis % len(other.shape) for axis in second}
        return ops.matmul(one, other) if kernel and (last, start) == ({len(one.shape) - 1}, {0}) else None
    left = list(string.ascii_lowercase[: len(one.shape)])
    right = list(string.ascii_uppercase[: len(other.shape)])
    result = [letter for axis, letter in enumerate(left) if axis not in {a % len(left) for a in first}]
    result += [letter for axis, letter in enumerate(right) if axis not in {a % len(right) for a in second}]
    for axis, paired in zip(first, second, strict=True):
        right[paired] = left[axis]
    return _in_either_order(parts, f"{''.join(left)},{''.join(right)}->{''.join(result)}", one, other)


def contracted(parts: Parts, equation: str, one: Tensor, other: Any) -> Tensor | None:
    """Return `einsum(equation, one, other)` by matrix products, or None where there is no rule."""
    letters = parsed(equation, len(one.shape), len(other.shape))
    if letters is None:
        return None
    if not isinstance(other, keras.KerasTensor):
        return None if letters.batch else _by_kernel(parts, letters, one, other)
    sizes = _sizes(letters, one, other)
    left, right = (math.prod(sizes[x] for x in group) for group in (letters.left, letters.right))
    summed = math.prod(sizes[x] for x in letters.summed)
    batch = [sizes[x] for x in letters.batch]
    one = _shaped(
        _ordered(one, letters.one, letters.batch + letters.left + letters.summed), [*batch, left, summed]
    )
    other = _shaped(
        _ordered(other, letters.other, letters.batch + letters.summed + letters.right),
        [*batch, summed, right],
    )
    order = letters.batch + letters.left + letters.right
    return _ordered(_shaped(ops.matmul(one, other), [sizes[x] for x in order]), order, letters.result)


def matmul(parts: Parts, _: Any, one: Any, other: Any) -> Tensor | None:
    """Open a matrix product with an array or variable of rank 2; that of two tensors is an operator."""
    if isinstance(one, keras.KerasTensor) and not isinstance(other, keras.KerasTensor) and other.ndim == 2:
        return contracted(parts, "...a,ab->...b", one, other)
    return None


def einsum_dense(parts: Parts, layer: Any, x: Tensor) -> Tensor | None:
    """Open an EinsumDense as a Dense between reshapings."""
    letters = parsed(layer.equation, len(x.shape), len(layer.kernel.shape))
    if letters is None:
        return None
    if not letters.batch and (layer.bias is None or sorted(layer.bias_axes) == sorted(letters.right)):
        return _by_kernel(parts, letters, x, layer.kernel, layer)
    y = contracted(parts, layer.equation, x, parts("kernel", Constant.of, layer.kernel)(x))
    if layer.bias is not None:
        y = parts("add", keras.layers.Add)([y, parts("bias", Constant.of, layer.bias)(x)])
    return (
        y if layer.activation is None else parts("activation", keras.layers.Activation, layer.activation)(y)
    )


def _by_kernel(parts: Parts, letters: Contraction, x: Tensor, kernel: Any, layer: Any = None) -> Tensor:
    order = tuple(letters.other.index(letter) for letter in letters.summed + letters.right)
    shape = [kernel.shape[axis] for axis in order]
    rows, units = (math.prod(part) for part in (shape[: len(letters.summed)], shape[len(letters.summed) :]))

    def matrix(array: Any) -> np.ndarray:
        return np.transpose(as_array(array), order).reshape(rows, units)

    config, weights = {"use_bias": False, "trainable": getattr(kernel, "trainable", False)}, [matrix(kernel)]
    if layer is not None:
        constraint = layer.kernel_constraint
        config = {
            "activation": layer.activation,
            "use_bias": layer.bias is not None,
            "kernel_regularizer": layer.kernel_regularizer,
            "bias_regularizer": layer.bias_regularizer,
            "activity_regularizer": layer.activity_regularizer,
            "kernel_constraint": SparsityMask(
                matrix(constraint.value), constraint.constraint, constraint.plan
            )
            if isinstance(constraint, SparsityMask)
            else constraint,
            "bias_constraint": layer.bias_constraint,
            "dtype": layer.dtype_policy,
            "trainable": layer.trainable,
        }
        if layer.bias is not None:
            given = "".join(axis for axis in letters.result if axis in layer.bias_axes)
            axes = [given.index(letter) for letter in letters.right]
            weights.append(
                np.transpose(as_array(layer.bias).reshape([_size(letters, kernel, a) for a in given]), axes)
            )
    sizes = {letter: x.shape[axis] for axis, letter in enumerate(letters.one)}
    left = [sizes[letter] for letter in letters.left]
    x = _shaped(_ordered(x, letters.one, letters.left + letters.summed), [*left, rows])
    y = parts("dense", keras.layers.Dense, units, weights=weights, **config)(x)
    y = _shaped(y, [*left, *shape[len(letters.summed) :]])
    return _ordered(y, letters.left + letters.right, letters.result)


def _size(letters: Contraction, kernel: Any, letter: str) -> int:
    return kernel.shape[letters.other.index(letter)]


def dot(parts: Parts, operation: Any, *operands: Any) -> Tensor | None:
    """Open the layer Dot, or `ops.dot`, as a matrix product."""
    if isinstance(operation, keras.layers.Dot):
        return _dot(operation, *operands)
    one, other = operands
    if 0 in (np.ndim(one), np.ndim(other)):
        return None
    return _summed(parts, one, other, [-1], [-min(2, np.ndim(other))])


def _dot(layer: keras.layers.Dot, tensors: list[Tensor]) -> Tensor | None:
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else list(layer.axes)
    if layer.normalize:
        tensors = [ops.normalize(x, axis=axis) for x, axis in zip(tensors, axes, strict=True)]
    one, other = tensors
    first, second = (axis % len(x.shape) for axis, x in zip(axes, tensors, strict=True))
    letters = iter(string.ascii_letters[2:])
    left, right = (
        ["a" if axis == 0 else "b" if axis == summed else next(letters) for axis in range(len(x.shape))]
        for x, summed in ((one, first), (other, second))
    )
    result = "a" + "".join(x for x in (*left, *right) if x not in "ab")
    y = contracted(Parts(), f"{''.join(left)},{''.join(right)}->{result}", one, other)
    return ops.reshape(y, (-1, 1)) if y is not None and len(y.shape) == 1 else y


def _sizes(letters: Contraction, one: Tensor, other: Tensor) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for letter, size in (
        *zip(letters.one, one.shape, strict=True),
        *zip(letters.other, other.shape, strict=True),
    ):
        sizes[letter] = max(sizes.get(letter, -1), -1 if size is None else size)
    return sizes


def _ordered(x: Tensor, letters: str, order: str) -> Tensor:
    return x if letters == order else ops.transpose(x, [letters.index(letter) for letter in order])


def _shaped(x: Tensor, shape: list[int | None]) -> Tensor:
    same = len(shape) == len(x.shape) and all(
        a == b or b is None for a, b in zip(shape, x.shape, strict=True)
    )
    if same:
        return x
    known = [-1 if size is None else size for size in shape]
    if known.count(-1) > 1 or any(size < -1 for size in known):
        raise UnsupportedOperation(
            f"A sum of products is rewritten to fixed shapes, and here one has the shape {tuple(x.shape)}: "
            "build the model with inputs of fixed sizes, such as keras.Input((20, 8)) for sequences."
        )
    return ops.reshape(x, known)
