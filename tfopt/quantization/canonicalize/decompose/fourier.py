"""Discrete Fourier transforms as products with their matrices, for which there are operators in a file."""

from __future__ import annotations

from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfopt.graph import Complex, Parts, producer, signal_functions
from tfopt.quantization.operators.op_traits import Kind, OpTraits

Tensor: TypeAlias = keras.KerasTensor
Number: TypeAlias = tuple[Tensor, Tensor | None]
"""Real and imaginary part; None for one that is 0."""


def complex_transform(_: Parts, operation: Any, x: Any) -> Number:
    """Decompose `ops.fft`, `ops.fft2` and `ops.ifft2`."""
    name = type(operation).__name__
    transform = np.fft.ifft if name.startswith("I") else np.fft.fft
    real, imaginary = x
    number: Number = (real, None if _is_zero(imaginary) else imaginary)
    for axis in (-1, -2) if name.endswith("2") else (-1,):
        found = transform(np.eye(real.shape[axis]))
        number = _product(number, found.real, found.imag, axis)
    return number


def inverse_of_real(_: Parts, operation: Any, x: Any) -> Tensor:
    """Decompose `ops.irfft`, whose result is real."""
    real, imaginary = x
    count = real.shape[-1]
    length = operation.fft_length or 2 * (count - 1)
    of_real, of_imaginary = (np.fft.irfft(unit * np.eye(count), length) for unit in (1.0, 1.0j))
    y = _times(real, of_real, -1)
    return y if _is_zero(imaginary) else y + _times(imaginary, of_imaginary, -1)


def is_power_of_two(length: int) -> bool:
    """Return whether LiteRT transforms so many values."""
    return length & (length - 1) == 0


@keras.saving.register_keras_serializable(package="tfopt")
class RealTransform(keras.layers.Layer):
    """The Fourier transform of real values in float, of any length, as products with its matrices.

    Args:
        length: of the transform; what the input has more is left out, what it has less is 0.
    """

    tfopt_traits = OpTraits(kind=Kind.FLOAT, transforms_waveforms=True)

    def __init__(self, length: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.length = length

    def call(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the real and the imaginary part."""
        found = np.fft.rfft(np.eye(inputs.shape[-1]), self.length)
        return tuple(ops.matmul(inputs, part.astype(inputs.dtype.name)) for part in (found.real, found.imag))

    def compute_output_spec(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shapes and the dtype of both parts."""
        shape = (*inputs.shape[:-1], self.length // 2 + 1)
        return keras.KerasTensor(shape, inputs.dtype), keras.KerasTensor(shape, inputs.dtype)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments."""
        return {**super().get_config(), "length": self.length}


def of_real(parts: Parts, operation: Any, x: Tensor) -> tuple[Tensor, Tensor] | None:
    """Decompose `ops.rfft` where LiteRT has no operator for its length."""
    length = operation.fft_length or x.shape[-1]
    if length is None or is_power_of_two(length):
        return None
    return parts("transform", RealTransform, length)(x)


def short_time(parts: Parts, operation: Any, x: Tensor) -> tuple[Tensor, Tensor] | None:
    """Decompose `ops.stft` where LiteRT has no operator for its length."""
    length = operation.fft_length
    if is_power_of_two(length):
        return None
    if operation.center:
        x = ops.pad(x, [*[(0, 0)] * (len(x.shape) - 1), (length // 2, length // 2)], mode="reflect")
    windowed = signal_functions.frame(x, length, operation.sequence_stride)
    window = _window(operation)
    return parts("transform", RealTransform, length)(windowed if window is None else windowed * window)


def inverse_short_time(_: Parts, operation: Any, x: Any) -> Tensor:
    """Decompose `ops.istft` into products and sums of frames."""
    length, step = operation.fft_length, operation.sequence_stride
    window = _window(operation)
    window_fn = None
    if window is not None:
        window_fn = tf.signal.inverse_stft_window_fn(step, lambda *_, **__: tf.constant(window))
    whole = signal_functions.inverse_stft(Complex(*x), length, step, length, window_fn)
    start = length // 2 if operation.center else 0
    if operation.length is not None:
        return whole[..., start : start + operation.length]
    return whole[..., start : whole.shape[-1] - start]


def _window(operation: Any) -> np.ndarray | None:
    """Return the window of a transform, with zeros on both sides where that is longer."""
    window, length = operation.window, operation.sequence_length
    if window is None:
        return None
    if isinstance(window, str):
        window = {"hann": tf.signal.hann_window, "hamming": tf.signal.hamming_window}[window](length)
    missing = operation.fft_length - length
    return np.pad(np.asarray(window, "float32"), (missing // 2, missing - missing // 2))


def frames(_: Parts, operation: Any, x: Tensor) -> Tensor | None:
    """Decompose `ops.extract_sequences` into choices of indices."""
    if x.shape[-1] is None:
        return None
    return signal_functions.frame(x, operation.sequence_length, operation.sequence_stride)


def _product(number: Number, real: np.ndarray, imaginary: np.ndarray, axis: int) -> Number:
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
    maker = producer(x)
    return maker is not None and type(maker.operation).__name__ == "ZerosLike"
