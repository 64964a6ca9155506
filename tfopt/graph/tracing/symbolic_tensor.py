"""Symbolic tensors that are sliced as tensors are: `x[1:]`, `x[None]`, with the bounds of a tensor.

Keras's take tuples and integers alone. What an operation returns is made in Keras; what reads a tensor is
noted in a list of the operation that made it, and such a list of a private operation may look at what is
added.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.graph import _keras
from tfopt.graph.functions.complex_numbers import Complex


class SymbolicTensor(keras.KerasTensor):
    """A symbolic tensor of a trace."""

    __array_ufunc__ = None
    """`array * tensor` is left to the tensor: NumPy would ask it for its values."""

    variable: Any = None
    """Of what stands for a variable: what takes assignments to it, see `tfopt.graph.tracing.assignments`."""

    def assign(self, value: Any) -> Any:
        """Let code that reads the variable from now on read `value`; only for variables."""
        if self.variable is None:
            raise AttributeError("A symbolic tensor has no 'assign'.")
        return self.variable.assign(value)

    def assign_add(self, value: Any) -> Any:
        """Assign the sum."""
        return self.assign(self + value)

    def assign_sub(self, value: Any) -> Any:
        """Assign the difference."""
        return self.assign(self - value)

    def __getitem__(self, key: Any) -> Any:
        """Return a part, by what NumPy takes between the brackets but masks and lists of indices."""
        keys = tuple(key) if isinstance(key, (tuple, list)) else (key,)
        return super().__getitem__(tuple(_as_bounds(each) for each in keys))

    # A complex tensor on the right knows what to do.

    def __add__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Complex) else super().__add__(other)

    def __sub__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Complex) else super().__sub__(other)

    def __mul__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Complex) else super().__mul__(other)

    def __truediv__(self, other: Any) -> Any:
        return NotImplemented if isinstance(other, Complex) else super().__truediv__(other)


def _as_bounds(key: Any) -> Any:
    if isinstance(key, slice):
        return slice(*(_as_bounds(each) for each in (key.start, key.stop, key.step)))
    whole = isinstance(key, (tf.Tensor, np.ndarray, np.generic)) and np.ndim(key) == 0
    return int(key) if whole else key


def make_sliceable(tensors: Iterable[keras.KerasTensor]) -> None:
    """Make tensors sliceable, and all that is computed from them from now on."""
    for tensor in tensors:
        tensor.__class__ = SymbolicTensor
        _watch_readers(_keras.operation_of(tensor))


class _Readers(list):
    """The calls that read what an operation returns."""

    def append(self, node: Any) -> None:
        """Add a call whose outputs have just been made."""
        super().append(node)
        for output in node.outputs:
            output.__class__ = SymbolicTensor
        _watch_readers(node.operation)


def _watch_readers(operation: keras.Operation) -> None:
    """Let the list of the calls that read what an operation returns look at what is added to it."""
    readers = _keras.readers(operation)
    if not isinstance(readers, _Readers):
        _keras.set_readers(operation, _Readers(readers))
