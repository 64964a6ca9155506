"""Functions of tf.signal and complex numbers in the code of users' layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from tfopt import graph
from tfopt.errors import UnsupportedModel, UnsupportedOperation
from tfopt.quantization import quantize_aware
from tfopt.quantization.canonicalize.canonicalize import canonical

SOUND = np.random.default_rng(0).normal(size=(3, 256)).astype("float32")
IMAGE = np.random.default_rng(1).normal(size=(3, 8, 16)).astype("float32")


class Code(keras.layers.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


def _stft(x, **settings):
    return tf.signal.stft(x, **{"frame_length": 32, "frame_step": 16, **settings})


def _log_mel(x):
    mel = tf.signal.linear_to_mel_weight_matrix(8, 17, 8000, 20.0, 4000.0)
    return tf.math.log(tf.tensordot(tf.abs(_stft(x)), mel, 1) + 1e-3)


def _masked(x):
    spectrum = _stft(x)
    mask = tf.cast(tf.sigmoid(tf.abs(spectrum)), tf.complex64)
    return tf.signal.inverse_stft(spectrum * mask, 32, 16, window_fn=tf.signal.inverse_stft_window_fn(16))


def _by_phase(x):
    spectrum = _stft(x)
    size, phase = (tf.cast(f(spectrum), tf.complex64) for f in (tf.abs, tf.math.angle))
    return tf.signal.inverse_stft(size * tf.exp(1j * phase), 32, 16)


def _shaped(x):
    spectrum = tf.transpose(_stft(x), [0, 2, 1])[:, 1:, tf.newaxis]
    spectrum = tf.concat([spectrum, tf.reverse(spectrum, [1])], axis=2) - 0.5
    return tf.reshape(tf.abs(tf.reduce_mean(spectrum, axis=1)), (-1, 30))


SOUNDS = {
    "magnitude": lambda x: tf.abs(_stft(x)),
    "of one channel": lambda x: tf.abs(
        _stft(tf.squeeze(x[..., tf.newaxis], -1), fft_length=64, pad_end=True)
    ),
    "any length": lambda x: tf.abs(_stft(x, frame_length=30, frame_step=7, fft_length=30)),
    "no window": lambda x: tf.abs(_stft(x, window_fn=None)),
    "another window": lambda x: tf.abs(_stft(x, frame_length=30, window_fn=tf.signal.hamming_window)),
    "power": lambda x: tf.math.real((lambda s: s * tf.math.conj(s))(_stft(x))),
    "parts": lambda x: (lambda s: tf.stack([tf.math.real(s), tf.math.imag(s)], -1))(_stft(x)),
    "angle": lambda x: tf.math.cos(tf.math.angle(_stft(x))),
    "mel": _log_mel,
    "mfcc": lambda x: tf.signal.mfccs_from_log_mel_spectrograms(_log_mel(x))[..., :5],
    "masked": _masked,
    "by phase": _by_phase,
    "shaped": _shaped,
    "quotient": lambda x: tf.abs(1.0 / (_stft(x) + 3.0) - _stft(x) / (2.0 + 1j)),
    "rfft": lambda x: tf.abs(tf.signal.rfft(x, [100])),
    "irfft": lambda x: tf.signal.irfft(tf.signal.rfft(x) * np.linspace(1, 0, 129).astype("complex64")),
    "fft": lambda x: tf.abs(tf.signal.fft(tf.complex(real=x, imag=tf.zeros_like(x))))[:, :128],
    "ifft": lambda x: tf.math.real(tf.signal.ifft(tf.signal.fft(tf.cast(x, tf.complex64)) * 2.0)),
    "frame": lambda x: tf.reduce_max(tf.signal.frame(x, 30, 20, pad_end=True, pad_value=9.0), -1),
    "overlap and add": lambda x: tf.signal.overlap_and_add(tf.reshape(x, (-1, 8, 32)), 12),
    "mdct": lambda x: tf.signal.mdct(x, 32),
    "mdct of another form": lambda x: tf.signal.mdct(x, 40, None, pad_end=True, norm="ortho"),
    "inverse mdct": lambda x: tf.signal.inverse_mdct(tf.signal.mdct(x, 32) * 0.5),
    "inverse mdct of another form": lambda x: tf.signal.inverse_mdct(
        tf.signal.mdct(x, 32), tf.signal.kaiser_bessel_derived_window, norm="ortho"
    ),
    "dct": lambda x: tf.signal.dct(x[:, :32], type=2, norm="ortho"),
    "ops of complex": lambda x: ops.abs(ops.conjugate(_stft(x))) + ops.real(_stft(x)) * ops.imag(_stft(x)),
    "ops.stft": lambda x: ops.concatenate(ops.stft(x, 24, 16, 30, window="hamming"), -1),
    "ops.istft": lambda x: ops.istft(ops.stft(x, 32, 16, 32), 32, 16, 32),
    "ops.istft of a length": lambda x: ops.istft(
        ops.stft(x, 24, 8, 30, window=None, center=False), 24, 8, 30, 200, window=None, center=False
    ),
    "ops.rfft": lambda x: ops.concatenate(ops.rfft(x, 50), -1),
    "ops.extract_sequences": lambda x: ops.extract_sequences(x, 32, 16),
}
IMAGES = {
    "fft2d": lambda x: tf.abs(tf.signal.fft2d(tf.cast(x, tf.complex64))),
    "ifft2d": lambda x: tf.math.imag(tf.signal.ifft2d(tf.complex(x, 2.0 * x))),
    "rfft2d": lambda x: tf.abs(tf.signal.rfft2d(x)),
    "irfft2d": lambda x: tf.signal.irfft2d(tf.signal.rfft2d(x) * 2.0),
    "rfft2d of a length": lambda x: tf.abs(tf.signal.rfft2d(x, fft_length=[8, 16])),
    "rfft2d padded and cut": lambda x: tf.abs(tf.signal.rfft2d(x, [12, 10])),
    "irfft2d of a length": lambda x: tf.signal.irfft2d(tf.signal.rfft2d(x) * 2.0, tf.constant([8, 16])),
    "irfft2d padded and cut": lambda x: tf.signal.irfft2d(tf.signal.rfft2d(x), fft_length=[6, 20]),
}


@pytest.mark.parametrize(
    ("function", "x"),
    [(function, SOUND) for function in SOUNDS.values()] + [(function, IMAGE) for function in IMAGES.values()],
    ids=[*SOUNDS, *IMAGES],
)
def test_code_is_read_and_computes_the_same(function, x):
    inputs = keras.Input(x.shape[1:])
    model = keras.Model(inputs, Code(function)(inputs))
    plain, paths = canonical(graph.as_functional(graph.copy(model)))
    assert not paths.left_whole
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(plain.predict(x, verbose=0), expected, atol=2e-5 * np.abs(expected).max())


REFUSED = {
    "unknown length": (
        lambda x: tf.abs(_stft(x)),
        r"a tensor of unknown length.*keras.Input\(\(length, ...\)\)",
    ),
    "complex output": (_stft, r"returns complex numbers: return what is computed of them, or their parts"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_taken_as_the_advice_says(name):
    function, advice = REFUSED[name]
    inputs = keras.Input((None if name == "unknown length" else 256,))
    with pytest.raises((UnsupportedModel, UnsupportedOperation), match=advice):
        quantize_aware(keras.Model(inputs, Code(function, name="own")(inputs)))
    inputs = keras.Input((256,))
    parts = Code(lambda x: tf.math.real(function(x)) if name == "complex output" else function(x))
    assert quantize_aware(keras.Model(inputs, parts(inputs)))
