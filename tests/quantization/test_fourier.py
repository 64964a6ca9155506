"""Fourier transforms as products of matrices, and spectrograms in float before int8."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate
from tfopt.quantization.canonical import canonical


def _over(function, shape=(4, 16)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


X = np.random.default_rng(0).normal(size=(64, 4, 16)).astype("float32")
TRANSFORMS = {
    "fft": lambda x: ops.concatenate(ops.fft((x, x * 0.5)), axis=-1),
    "fft_of_real": lambda x: ops.concatenate(ops.fft((x, ops.zeros_like(x))), axis=-1),
    "fnet": lambda x: ops.fft2((x, ops.zeros_like(x)))[0],
    "fft2": lambda x: ops.concatenate(ops.fft2((x, x - 1.0)), axis=-1),
    "ifft2": lambda x: ops.concatenate(ops.ifft2((x, x - 1.0)), axis=-1),
    "irfft": lambda x: ops.irfft((x[..., :9], x[..., 7:])),
    "irfft_length": lambda x: ops.irfft((x[..., :9], x[..., 7:]), fft_length=15),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_the_products_are_the_transform(name):
    model = _over(TRANSFORMS[name])
    np.testing.assert_allclose(canonical(model)[0](X), model(X), atol=2e-5)


def test_the_file_of_a_mixing_is_integer():
    keras.utils.set_random_seed(0)
    quantized = tfopt.quantize_aware(_over(lambda x: L.Dense(3)(TRANSFORMS["fnet"](x))))
    calibrate(quantized, X)
    file = tfopt.to_tflite(quantized)
    assert not file.summary().float_operators
    assert file.verify(quantized, X).max_lsb <= 1


def _mel(x):
    return L.MelSpectrogram(
        fft_length=32, sequence_stride=16, sampling_rate=8000, num_mel_bins=8, max_freq=4000.0, name="front"
    )(x)


FRONTS = {
    "mel": lambda x: _mel(L.Reshape((256,))(x)),
    "stft_layer": lambda x: L.STFTSpectrogram(frame_length=16, frame_step=8, name="front")(
        L.Reshape((256, 1))(x)
    ),
    "rfft": lambda x: ops.concatenate(ops.rfft(x), axis=-1),
    "stft": lambda x: ops.concatenate(ops.stft(x, 16, 8, 16), axis=-1),
}


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("mel", None),
        pytest.param("mel", {"front": None}, marks=pytest.mark.slow),
        pytest.param("mel", {"front": "int16x8"}, marks=pytest.mark.slow),
        pytest.param("stft_layer", None, marks=pytest.mark.slow),
        pytest.param("stft_layer", {"front": None}, marks=pytest.mark.slow),
        pytest.param("rfft", None, marks=pytest.mark.slow),
        pytest.param("stft", None, marks=pytest.mark.slow),
    ],
)
def test_spectrograms_are_in_float_and_what_follows_is_not(name, rules):
    keras.utils.set_random_seed(0)
    sounds = np.random.default_rng(0).normal(size=(64, 4, 64)).astype("float32")
    sounds *= 10.0 ** np.random.default_rng(1).uniform(-3, 0, (64, 1, 1)).astype("float32")
    model = _over(lambda x: L.Dense(3)(L.Flatten()(FRONTS[name](x))), (4, 64))
    quantized = tfopt.quantize_aware(model, rules=rules)
    calibrate(quantized, sounds)
    file = tfopt.to_tflite(quantized)
    assert [spec.dtype for spec in file.inputs] == ["float32"]
    assert "FULLY_CONNECTED" in {each.name for each in file.summary().operators if "int8" in each.types}
    assert file.verify(quantized, sounds).max_lsb <= 1
