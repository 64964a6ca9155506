"""Complex tensors in traced code: two real ones, the real and the imaginary part.

TFLite has few operators on complex numbers, and integers have none: in the graph of a trace there are none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


class Complex:
    """A complex tensor of a trace.

    Args:
        real: the real part, a symbolic tensor or an array.
        imaginary: the imaginary part, of the same shape.
    """

    __array_priority__ = 1000  # NumPy's numbers and arrays leave products to this class
    dtype = "complex64"

    def __init__(self, real: Any, imaginary: Any) -> None:
        self.real = real
        self.imaginary = imaginary

    @classmethod
    def of(cls, value: Any) -> Complex:
        """Return a value as a complex tensor: one, a real tensor, an array or a number."""
        if isinstance(value, cls):
            return value
        if isinstance(value, keras.KerasTensor):
            return cls(value, ops.zeros_like(value))
        array = np.asarray(value)
        return cls(np.real(array).astype("float32"), np.imag(array).astype("float32"))

    @property
    def shape(self) -> tuple:
        """The shape of both parts."""
        return tuple(self.real.shape)

    def each(self, function: Callable[[Any], Any]) -> Any:
        """Return what a function that is linear with real factors makes of the tensor.

        Several outputs become as many complex tensors.
        """
        real, imaginary = function(self.real), function(self.imaginary)
        if isinstance(real, (list, tuple)):
            return [Complex(*pair) for pair in zip(real, imaginary, strict=True)]
        return Complex(real, imaginary)

    def conjugate(self) -> Complex:
        """Return the tensor with the sign of its imaginary part turned round."""
        return Complex(self.real, -self.imaginary)

    def power(self) -> Any:
        """Return the squared magnitude, which is real."""
        return ops.square(self.real) + ops.square(self.imaginary)

    def __abs__(self) -> Any:
        return ops.sqrt(self.power())

    def __getitem__(self, key: Any) -> Complex:
        return self.each(lambda part: part[key])

    def __neg__(self) -> Complex:
        return self.each(lambda part: -part)

    def __add__(self, other: Any) -> Complex:
        other = Complex.of(other)
        return Complex(ops.add(self.real, other.real), ops.add(self.imaginary, other.imaginary))

    def __sub__(self, other: Any) -> Complex:
        return self + -Complex.of(other)

    def __rsub__(self, other: Any) -> Complex:
        return -self + other

    def __mul__(self, other: Any) -> Complex:
        if not _is_complex(other):
            return self.each(lambda part: ops.multiply(part, other))
        other = Complex.of(other)
        return Complex(
            ops.multiply(self.real, other.real) - ops.multiply(self.imaginary, other.imaginary),
            ops.multiply(self.real, other.imaginary) + ops.multiply(self.imaginary, other.real),
        )

    def __truediv__(self, other: Any) -> Complex:
        if not _is_complex(other):
            return self.each(lambda part: ops.divide(part, other))
        other = Complex.of(other)
        return self * other.conjugate() / other.power()

    def __rtruediv__(self, other: Any) -> Complex:
        return Complex.of(other) / self

    __radd__ = __add__
    __rmul__ = __mul__


def _is_complex(value: Any) -> bool:
    if isinstance(value, keras.KerasTensor):
        return False
    return isinstance(value, Complex) or np.iscomplexobj(np.asarray(value))
