"""Discrete Fourier transforms as products with their matrices, for which there are operators in a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops

from tfopt.graph import Parts, producer

Tensor: TypeAlias = keras.KerasTensor
Complex: TypeAlias = tuple[Tensor, Tensor | None]
"""Real and imaginary part; None for one that is 0."""


def transform(inverse: bool, axes: tuple[int, ...]) -> Callable[[Parts, Any, Any], Any]:
    """Return the opening of `ops.fft`, `ops.fft2` and `ops.ifft2`.

    Args:
        inverse: whether it is the inverse.
        axes: the axes that are transformed, counted from the end.
    """

    def opened(_: Parts, operation: Any, x: Any) -> Complex:  # noqa: ARG001 (an opening's signature)
        real, imaginary = x
        number: Complex = (real, None if _is_zero(imaginary) else imaginary)
        for axis in axes:
            size = real.shape[axis]
            found = (np.fft.ifft if inverse else np.fft.fft)(np.eye(size))
            number = _product(number, found.real, found.imag, axis)
        return number

    return opened


def inverse_of_real(_: Parts, operation: Any, x: Any) -> Tensor:
    """Open `ops.irfft`, whose result is real."""
    real, imaginary = x
    count = real.shape[-1]
    length = operation.fft_length or 2 * (count - 1)
    of_real, of_imaginary = (np.fft.irfft(unit * np.eye(count), length) for unit in (1.0, 1.0j))
    y = _times(real, of_real, -1)
    return y if _is_zero(imaginary) else y + _times(imaginary, of_imaginary, -1)


def _product(number: Complex, real: np.ndarray, imaginary: np.ndarray, axis: int) -> Complex:
    one, other = number
    if other is None:
        return _times(one, real, axis), _times(one, imaginary, axis)
    return (
        _times(one, real, axis) - _times(other, imaginary, axis),
        _times(one, imaginary, axis) + _times(other, real, axis),
    )


def _times(x: Tensor, matrix: np.ndarray, axis: int) -> Tensor:
    array = matrix.astype(x.dtype)
    if axis == -1:
        return ops.matmul(x, array)
    return ops.swapaxes(ops.matmul(ops.swapaxes(x, axis, -1), array), axis, -1)


def _is_zero(x: Any) -> bool:
    if not isinstance(x, keras.KerasTensor):
        return not np.any(np.asarray(x))
    made = producer(x)
    return made is not None and type(made.operation).__name__ == "ZerosLike"
