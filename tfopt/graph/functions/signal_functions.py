"""The table of TensorFlow's functions of sounds, spectra and complex numbers, as `tensorflow_functions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tfopt.graph.functions.complex_numbers import Complex
from tfopt.graph.functions.cosine_transform import CosineTransform


def _size(x: Any, axis: int) -> int:
    if x.shape[axis] is None:
        raise NotImplementedError("a tensor of unknown length")
    return int(x.shape[axis])


def _number(value: Any) -> int:
    return int(np.asarray(value).reshape(()))


def _only(fft_length: Any) -> int | None:
    """Return the length of a transform, which is given as a list of one."""
    return None if fft_length is None else _number(fft_length)


def frame(
    signal: Any,
    frame_length: Any,
    frame_step: Any,
    pad_end: bool = False,
    pad_value: Any = 0,
    axis: int = -1,
) -> Any:
    """Return what `tf.signal.frame` does, as choices of indices."""
    length, step, axis = _number(frame_length), _number(frame_step), axis % len(signal.shape)
    size = _size(signal, axis)
    if pad_end:
        count = -(-size // step)
        missing = max(0, (count - 1) * step + length - size)
        widths = [(0, missing if each == axis else 0) for each in range(len(signal.shape))]
        signal = ops.pad(signal, widths, constant_values=pad_value)
    else:
        count = max(0, 1 + (size - length) // step)
    indices = step * np.arange(count)[:, None] + np.arange(length)
    return ops.take(signal, indices.astype("int32"), axis=axis)


def _overlap_and_add(signal: Any, frame_step: Any) -> Any:
    """Return the sum of frames, each a step after the one before, by the parts of a step's length."""
    step, count, length = _number(frame_step), _size(signal, -2), _size(signal, -1)
    parts = -(-length // step)
    outer = signal.shape[:-2]
    batch = [-1 if size is None else size for size in outer]
    none = [(0, 0)] * len(outer)
    signal = ops.pad(signal, [*none, (0, 0), (0, parts * step - length)])
    signal = ops.reshape(signal, (*batch, count, parts, step))
    summands = [
        ops.pad(signal[..., part, :], [*none, (part, parts - 1 - part), (0, 0)]) for part in range(parts)
    ]
    total = sum(summands[1:], start=summands[0])
    made = ops.reshape(total, (*batch, (count + parts - 1) * step))
    return made[..., : (count - 1) * step + length]


def _windowed(frames: Any, window_fn: Any) -> Any:
    if window_fn is None:
        return frames
    return frames * np.asarray(window_fn(frames.shape[-1], dtype=tf.float32))


def _stft(
    signals: Any,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    window_fn: Any = tf.signal.hann_window,
    pad_end: bool = False,
) -> Complex:
    length = _number(frame_length)
    frames = _windowed(frame(signals, length, frame_step, pad_end), window_fn)
    return rfft(frames, _power_of_two(length) if fft_length is None else [_number(fft_length)])


def inverse_stft(
    stfts: Complex,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    window_fn: Any = tf.signal.hann_window,
) -> Any:
    """Return what `tf.signal.inverse_stft` does."""
    length = _number(frame_length)
    whole = irfft(stfts, _power_of_two(length) if fft_length is None else [_number(fft_length)])
    missing = length - whole.shape[-1]
    if missing > 0:
        whole = ops.pad(whole, [*[(0, 0)] * (len(whole.shape) - 1), (0, missing)])
    return _overlap_and_add(_windowed(whole[..., :length], window_fn), frame_step)


def _mdct(
    signals: Any,
    frame_length: Any,
    window_fn: Any = tf.signal.vorbis_window,
    pad_end: bool = False,
    norm: Any = None,
) -> Any:
    length = _number(frame_length)
    window = None if window_fn is None else np.asarray(window_fn(length, dtype=tf.float32)).tolist()
    return CosineTransform(length, window, norm)(frame(signals, length, length // 2, pad_end))


def _inverse_mdct(mdcts: Any, window_fn: Any = tf.signal.vorbis_window, norm: Any = None) -> Any:
    half = _size(mdcts, -1)
    unit = np.eye(half, dtype="float32")[:, None]
    matrix = np.asarray(tf.signal.inverse_mdct(unit, window_fn, norm))
    return _overlap_and_add(ops.matmul(mdcts, matrix), half)


def _power_of_two(length: int) -> list[int]:
    return [2 ** int(np.ceil(np.log2(length)))]


def rfft(input_tensor: Any, fft_length: Any = None, name: Any = None) -> Any:
    """Return what `tf.signal.rfft` does, of symbolic tensors too."""
    if not isinstance(input_tensor, keras.KerasTensor):
        return tf.signal.rfft(input_tensor, fft_length, name)
    return Complex(*ops.rfft(input_tensor, fft_length=_only(fft_length)))


def irfft(input_tensor: Any, fft_length: Any = None, name: Any = None) -> Any:
    """Return what `tf.signal.irfft` does, of symbolic tensors too."""
    if not isinstance(input_tensor, (Complex, keras.KerasTensor)):
        return tf.signal.irfft(input_tensor, fft_length, name)
    x = Complex.of(input_tensor)
    return ops.irfft((x.real, x.imaginary), fft_length=_only(fft_length))


def rfft2d(input_tensor: Any, fft_length: Any = None, name: Any = None) -> Any:
    """Return what `tf.signal.rfft2d` does, of symbolic tensors too."""
    if not isinstance(input_tensor, keras.KerasTensor):
        return tf.signal.rfft2d(input_tensor, fft_length, name)
    rows, columns = _both(fft_length)
    x = input_tensor if rows is None else _fitted(input_tensor, -2, rows)
    return _along_columns(_fft, rfft(x, columns))


def irfft2d(input_tensor: Any, fft_length: Any = None, name: Any = None) -> Any:
    """Return what `tf.signal.irfft2d` does, of symbolic tensors too."""
    if not isinstance(input_tensor, (Complex, keras.KerasTensor)):
        return tf.signal.irfft2d(input_tensor, fft_length, name)
    rows, columns = _both(fft_length)
    x = Complex.of(input_tensor)
    if rows is not None:
        x = x.each(lambda part: _fitted(part, -2, rows))
    return irfft(_along_columns(_ifft, x), columns)


def _both(fft_length: Any) -> tuple[int | None, int | None]:
    """Return the lengths of a transform along the rows' axis and the columns'."""
    if fft_length is None:
        return None, None
    rows, columns = np.asarray(fft_length).tolist()
    return rows, columns


def _fitted(x: Any, axis: int, length: int) -> Any:
    """Return a tensor cut along an axis to a length, or with zeros after it."""
    axis, missing = axis % len(x.shape), length - _size(x, axis)
    if missing > 0:
        return ops.pad(x, [(0, missing if each == axis else 0) for each in range(len(x.shape))])
    return ops.take(x, np.arange(length, dtype="int32"), axis=axis) if missing else x


def _along_columns(transform: Callable[[Complex], Complex], x: Complex) -> Complex:
    turned = transform(x.each(lambda part: ops.swapaxes(part, -1, -2)))
    return turned.each(lambda part: ops.swapaxes(part, -1, -2))


def _fft(input: Any) -> Complex:
    x = Complex.of(input)
    return Complex(*ops.fft((x.real, x.imaginary)))


def _ifft(input: Any) -> Complex:
    x = Complex.of(input)
    return _fft(x.conjugate()).conjugate() / _size(x, -1)


def _fft2d(input: Any) -> Complex:
    x = Complex.of(input)
    return Complex(*ops.fft2((x.real, x.imaginary)))


def _ifft2d(input: Any) -> Complex:
    x = Complex.of(input)
    return Complex(*ops.ifft2((x.real, x.imaginary)))


def _product(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the entry of a function that is linear in the last axis of its first argument, a real tensor."""

    def entry(*args: Any, **kwargs: Any) -> Any:
        x, *others = args or (kwargs.pop("input"),)
        unit = np.eye(_size(x, -1), dtype="float32")
        return ops.matmul(x, np.asarray(function(unit, *others, **kwargs)))

    return entry


def _exp(x: Complex) -> Complex:
    size = ops.exp(x.real)
    return Complex(size * ops.cos(x.imaginary), size * ops.sin(x.imaginary))


def _cast(x: Complex, dtype: Any) -> Any:
    dtype = tf.as_dtype(dtype)
    return x if dtype.is_complex else ops.cast(x.real, dtype.name)


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(input_tensor: Complex, axis: Any = None, keepdims: bool = False) -> Any:
        axes = axis if axis is None or isinstance(axis, int) else tuple(np.asarray(axis).ravel().tolist())
        return input_tensor.each(lambda part: function(part, axis=axes, keepdims=keepdims))

    return reduce


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "math.real": lambda input: input,
    "math.imag": lambda input: ops.zeros_like(input),
    "math.conj": lambda x: x,
    "complex": lambda real, imag: Complex(real, imag),
    "signal.frame": frame,
    "signal.overlap_and_add": _overlap_and_add,
    "signal.stft": _stft,
    "signal.mdct": _mdct,
    "signal.inverse_mdct": _inverse_mdct,
    "signal.fft": _fft,
    "signal.fft2d": _fft2d,
    "signal.dct": _product(tf.signal.dct),
    "signal.idct": _product(tf.signal.idct),
    "signal.mfccs_from_log_mel_spectrograms": _product(tf.signal.mfccs_from_log_mel_spectrograms),
}
"""The path of a function in `tf` -> its equivalent on real symbolic tensors."""

OF_COMPLEX: dict[str, Callable[..., Any]] = {
    "abs": lambda x: abs(x),
    "math.real": lambda input: input.real,
    "math.imag": lambda input: input.imaginary,
    "math.angle": lambda input: ops.arctan2(input.imaginary, input.real),
    "math.conj": lambda x: x.conjugate(),
    "cast": _cast,
    "identity": lambda input: input,
    "convert_to_tensor": lambda value, dtype=None, dtype_hint=None: value,  # noqa: ARG005
    "square": lambda x: x * x,
    "exp": _exp,
    "negative": lambda x: -x,
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "truediv": lambda x, y: x / y,
    "reduce_sum": _reduced(ops.sum),
    "reduce_mean": _reduced(ops.mean),
    "signal.fft": _fft,
    "signal.ifft": _ifft,
    "signal.fft2d": _fft2d,
    "signal.ifft2d": _ifft2d,
    "signal.inverse_stft": inverse_stft,
}
"""The path of a function in `tf` -> its equivalent on complex ones; next to it stand those in `SHAPING`."""

SHAPING = (
    *("reshape", "transpose", "expand_dims", "squeeze", "concat", "stack", "unstack", "split", "slice"),
    *("gather", "tile", "repeat", "broadcast_to", "pad", "reverse", "roll", "stop_gradient"),
)
"""Functions that move values, and so do the same to both parts."""
