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
from tfopt.quantization.canonicalize.decompose import einsum_equation

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
    read = einsum_equation.read(equation, (one_rank, other_rank))
    return None if read is None else _contraction(read.operands[0], read.operands[1], read.result)


def _contraction(one: str, other: str, result: str) -> Contraction | None:
    batch = "".join(x for x in result if x in one and x in other)
    summed = "".join(x for x in one if x in other and x not in result)
    left = "".join(x for x in result if x in one and x not in other)
    right = "".join(x for x in result if x in other and x not in one)
    whole = (
        sorted(one) == sorted(batch + summed + left)
        and sorted(other) == sorted(batch + summed + right)
        and sorted(result) == sorted(batch + left + right)
    )
    return Contraction(one, other, result, batch, summed, left, right) if whole else None


def einsum(parts: Parts, operation: Any, *operands: Any) -> Tensor | None:
    """Decompose `ops.einsum` of tensors, arrays and variables: two at a time, from the left."""
    if len(operands) == 1 and "->" not in operation.subscripts:
        return None  # Keras does not order its axes as NumPy does
    read = einsum_equation.read(operation.subscripts, [len(operand.shape) for operand in operands])
    return None if read is None else _evaluated(parts, read, operands)


def _evaluated(parts: Parts, read: einsum_equation.Equation, operands: Sequence[Any]) -> Tensor | None:
    labels, values = list(read.operands), list(operands)
    count = 0
    while True:
        for position, own in enumerate(labels):
            kept = _kept(own, labels[:position] + labels[position + 1 :], read.result)
            values[position], labels[position] = _sum(values[position], own, kept), kept
        if len(labels) == 1:
            return _ordered(values[0], labels[0], read.result)
        last = len(labels) == 2
        (one, other), (x, y) = labels[:2], values[:2]
        both = one + "".join(label for label in other if label not in one)
        result = read.result if last else _kept(both, labels[2:], read.result)
        y = _combined(parts, f"_{count}" if count else "", one, x, other, y, result)
        if y is None:
            return None
        labels[:2], values[:2] = [result], [y]
        count += 1


def _kept(labels: str, others: Sequence[str], result: str) -> str:
    """Return the labels that the result or another operand has."""
    return "".join(label for label in labels if label in result or any(label in other for other in others))


def _sum(x: Any, labels: str, kept: str) -> Any:
    """Return an operand without the axes that it alone has."""
    axes = tuple(axis for axis, label in enumerate(labels) if label not in kept)
    if not axes:
        return x
    return ops.sum(x, axis=axes) if isinstance(x, keras.KerasTensor) else as_array(x).sum(axes)


def _combined(parts: Parts, suffix: str, one: str, x: Any, other: str, y: Any, result: str) -> Any:
    """Return the sum of products of two operands; an array where both are."""
    if not isinstance(x, keras.KerasTensor):  # the order of factors does not matter
        one, x, other, y = other, y, one, x
    if not isinstance(x, keras.KerasTensor):
        return np.einsum(f"{one},{other}->{result}", as_array(x), as_array(y))
    letters = _contraction(one, other, result)
    if letters is None:
        return None
    if not letters.summed:
        return _product(letters, x, y)
    if letters.batch and not isinstance(y, keras.KerasTensor):
        y = parts(f"constant{suffix}", Constant.of, y)(x)
    return _of_two(parts, letters, x, y, suffix)


def _product(letters: Contraction, x: Tensor, y: Any) -> Tensor:
    """Return the product of two operands of which no axis is summed."""
    x = _aligned(x, letters.one, letters.result)
    if isinstance(y, keras.KerasTensor):
        return ops.multiply(x, _aligned(y, letters.other, letters.result))
    order = [letters.other.index(label) for label in letters.result if label in letters.other]
    array = np.transpose(as_array(y), order)
    sizes = iter(array.shape)
    return ops.multiply(
        x, array.reshape([next(sizes) if label in letters.other else 1 for label in letters.result])
    )


def _aligned(x: Tensor, labels: str, result: str) -> Tensor:
    """Return a tensor with the axes of the result, of size 1 where it has none."""
    x = _ordered(x, labels, "".join(label for label in result if label in labels))
    for axis, label in enumerate(result):
        x = x if label in labels else ops.expand_dims(x, axis)
    return x


def _in_either_order(parts: Parts, equation: str, one: Any, other: Any) -> Tensor | None:
    if not isinstance(one, keras.KerasTensor):  # the order of factors does not matter
        one, other = other, one
        operands, result = equation.replace(" ", "").split("->") if "->" in equation else ("", "")
        equation = ",".join(reversed(operands.split(","))) + "->" + result
    return contracted(parts, equation, one, other)


def tensordot(parts: Parts, operation: Any, one: Any, other: Any) -> Tensor | None:
    """Decompose `ops.tensordot`."""
    axes = operation.axes
    if isinstance(axes, int):
        axes = range(-axes, 0), range(axes)
    first, second = ([axis] if isinstance(axis, int) else list(axis) for axis in axes)
    return _summed(parts, one, other, first, second)


def _summed(parts: Parts, one: Any, other: Any, first: Sequence[int], second: Sequence[int]) -> Tensor | None:
    """Return the sums of products over pairs of axes; None of two tensors whose batches would multiply."""
    if isinstance(one, keras.KerasTensor) and isinstance(other, keras.KerasTensor):
        # In a layer that is decomposed, a variable is a tensor too, one without a batch.
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
    if not isinstance(other, keras.KerasTensor) and letters.batch:
        return None
    return _of_two(parts, letters, one, other)


def _of_two(parts: Parts, letters: Contraction, one: Tensor, other: Any, suffix: str = "") -> Tensor:
    if not isinstance(other, keras.KerasTensor):
        return _by_kernel(parts, letters, one, other, suffix=suffix)
    sizes = _sizes(letters, one, other)
    left, right, summed = (
        -1 if any(sizes[x] == -1 for x in group) else math.prod(sizes[x] for x in group)
        for group in (letters.left, letters.right, letters.summed)
    )
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
    """Decompose a matrix product with an array or variable of rank 2; that of two tensors is an operator."""
    if isinstance(one, keras.KerasTensor) and not isinstance(other, keras.KerasTensor) and other.ndim == 2:
        return contracted(parts, "...a,ab->...b", one, other)
    return None


def einsum_dense(parts: Parts, layer: Any, x: Tensor) -> Tensor | None:
    """Decompose an EinsumDense into a Dense between reshapings, or into products of tensors."""
    read = einsum_equation.read(layer.equation, (len(x.shape), len(layer.kernel.shape)))
    if read is None:
        return None
    letters = _contraction(read.operands[0], read.operands[1], read.result)
    if letters is not None and letters.summed and not letters.batch:
        whole = layer.bias is None or sorted(layer.bias_axes) == sorted(letters.right)
        y = _by_kernel(parts, letters, x, layer.kernel, layer, whole=whole)
        if whole:
            return y
    else:
        y = _evaluated(parts, read, (x, parts("kernel", Constant.of, layer.kernel)(x)))
        if y is None:
            return None
    if layer.bias is not None:
        y = ops.add(y, parts("bias", Constant.of, layer.bias)(x))
    if layer.activation is None:
        return y
    return parts("activation", keras.layers.Activation, layer.activation)(y)


def _by_kernel(
    parts: Parts,
    letters: Contraction,
    x: Tensor,
    kernel: Any,
    layer: Any = None,
    suffix: str = "",
    whole: bool = True,
) -> Tensor:
    """Return the product with a kernel as a Dense, with bias and activation of `layer` if it is the whole."""
    order = tuple(letters.other.index(letter) for letter in letters.summed + letters.right)
    shape = [kernel.shape[axis] for axis in order]
    rows, units = (math.prod(part) for part in (shape[: len(letters.summed)], shape[len(letters.summed) :]))

    def matrix(array: Any) -> np.ndarray:
        return np.transpose(as_array(array), order).reshape(rows, units)

    config, weights = {"use_bias": False, "trainable": getattr(kernel, "trainable", False)}, [matrix(kernel)]
    if layer is not None:
        constraint = layer.kernel_constraint
        config = {
            "activation": layer.activation if whole else None,
            "use_bias": whole and layer.bias is not None,
            "kernel_regularizer": layer.kernel_regularizer,
            "bias_regularizer": layer.bias_regularizer,
            "kernel_constraint": SparsityMask(
                matrix(constraint.value), constraint.constraint, constraint.plan
            )
            if isinstance(constraint, SparsityMask)
            else constraint,
            "bias_constraint": layer.bias_constraint,
            "dtype": layer.dtype_policy,
            "trainable": layer.trainable,
        }
        if config["use_bias"]:
            given = "".join(axis for axis in letters.result if axis in layer.bias_axes)
            axes = [given.index(letter) for letter in letters.right]
            weights.append(
                np.transpose(as_array(layer.bias).reshape([_size(letters, kernel, a) for a in given]), axes)
            )
    sizes = {letter: x.shape[axis] for axis, letter in enumerate(letters.one)}
    left = [sizes[letter] for letter in letters.left]
    x = _shaped(_ordered(x, letters.one, letters.left + letters.summed), [*left, rows])
    y = parts(f"dense{suffix}", keras.layers.Dense, units, weights=weights, **config)(x)
    y = _shaped(y, [*left, *shape[len(letters.summed) :]])
    return _ordered(y, letters.left + letters.right, letters.result)


def _size(letters: Contraction, kernel: Any, letter: str) -> int:
    return kernel.shape[letters.other.index(letter)]


def dot(parts: Parts, operation: Any, *operands: Any) -> Tensor | None:
    """Decompose the layer Dot, or `ops.dot`, into a matrix product."""
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


def _ordered(x: Any, letters: str, order: str) -> Any:
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
            "fix the sizes with input_shapes=, such as input_shapes=(20, 8), or build the model with inputs "
            "of fixed sizes, such as keras.Input((20, 8)) for sequences."
        )
    return ops.reshape(x, known)
