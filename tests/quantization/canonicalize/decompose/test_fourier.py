"""Fourier transforms as products of matrices, and spectrograms in float before int8."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

import tfopt
from tfopt.errors import ConversionError
from tfopt.quantization import calibrate
from tfopt.quantization.canonicalize.canonicalize import canonical


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
    quantized = tfopt.quantize_aware(_over(lambda x: L.Dense(3)(TRANSFORMS["fnet"](L.Dense(16)(x)))))
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
    "mdct": lambda x: Code(lambda x: tf.math.log(tf.abs(tf.signal.mdct(x, 16)) + 1e-4), name="front")(x),
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
        ("mdct", None),
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


class Code(L.Layer):
    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, *tensors):
        return self.function(*tensors)


def _spectrum(x, length=32):
    return tf.signal.stft(x, length, 16, fft_length=length)


def _log_mel(x, length=32):
    mel = tf.signal.linear_to_mel_weight_matrix(8, length // 2 + 1, 8000, 20.0, 4000.0)
    return tf.math.log(tf.tensordot(tf.abs(_spectrum(x, length)), mel, 1) + 1e-5)


def _sounds(count=32):
    """Return noise, some of which is a thousand times quieter than other."""
    rng = np.random.default_rng(0)
    sounds = rng.normal(size=(count, 256)).astype("float32")
    return sounds * 10.0 ** rng.uniform(-3, 0, (count, 1)).astype("float32")


def _listener(length=32):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((256,))
    x = Code(lambda x: _log_mel(x, length), name="front")(inputs)
    return keras.Model(inputs, L.Dense(3)(L.Flatten()(L.Conv1D(4, 3, activation="relu", name="conv")(x))))


@pytest.mark.parametrize("length", [32, 30])
def test_a_spectrum_in_code_is_in_float_and_what_follows_is_not(length, tmp_path):
    model, sounds = _listener(length), _sounds()
    assert tfopt.to_tflite(model).verify(model, sounds, classification=False).passed
    file = tfopt.to_tflite(model, "int8", sounds)
    assert file.verify(model, sounds, classification=False).snr_db > 25
    assert [spec.dtype for spec in file.inputs] == ["float32"]
    assert {each.types for each in file.summary().operators if each.name == "CONV_2D"} == {("int8",)}
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, sounds)
    assert tfopt.to_tflite(quantized).verify(quantized, sounds, classification=False).max_lsb <= 1
    quantized.save(tmp_path / "listener.keras")
    loaded = keras.models.load_model(tmp_path / "listener.keras")
    np.testing.assert_array_equal(loaded.predict(sounds, verbose=0), quantized.predict(sounds, verbose=0))


def test_why_a_spectrum_is_in_float():
    reasons = tfopt.quantization.left_in_float(_listener())
    assert {path.split("/")[0] for path in reasons} == {"front"}
    assert "8 bits do not hold the quiet parts of a sound and its spectrum" in reasons.values()


def test_a_mask_that_a_network_makes_is_laid_on_the_spectrum_in_float():
    keras.utils.set_random_seed(0)
    inputs, sounds = keras.Input((256,)), _sounds()
    mask = Code(lambda x: tf.math.log(tf.abs(_spectrum(x)) + 1e-4))(inputs)
    mask = L.Dense(17, activation="sigmoid")(L.Conv1D(8, 3, padding="same", activation="relu")(mask))

    def masked(sound, mask):
        return tf.signal.inverse_stft(_spectrum(sound) * tf.cast(mask, tf.complex64), 32, 16)

    model = keras.Model(inputs, Code(masked)(inputs, mask))
    file = tfopt.to_tflite(model, "int8", sounds, output_type="float32")
    found, expected = file.predict(sounds), model.predict(sounds, verbose=0)
    quiet = np.abs(sounds).max(axis=1) < 0.05
    noise = np.abs(found - expected)[quiet].max() / np.abs(expected[quiet]).max()
    assert quiet.any()
    assert noise < 0.2
    assert {each.types for each in file.summary().operators if each.name == "CONV_2D"} == {("int8",)}


def test_a_length_that_litert_lacks_in_code_that_cannot_be_read_is_refused_and_the_advice_works():
    def model(length):
        def front(x):
            return tf.abs(_spectrum(tf.cond(tf.reduce_max(x) > -1e9, lambda: x, lambda: -x), length))

        return _over(lambda x: L.Dense(3)(L.Flatten()(Code(front, name="front")(x))), (256,))

    with pytest.raises(ConversionError, match=r"'front' transforms 30 values.*powers of two"):
        tfopt.to_tflite(model(30))
    sounds = _sounds()
    assert tfopt.to_tflite(model(32)).verify(model(32), sounds, classification=False)
    chosen = model(32)
    file = tfopt.to_tflite(chosen, "int8", sounds, rules={"front": None})
    assert file.verify(chosen, sounds, classification=False).snr_db > 25


def _spectrum_of_sound(x):
    x = ops.squeeze(x, axis=-1)
    real, imaginary = ops.fft((x, ops.zeros_like(x)))
    return ops.sqrt(ops.square(real[:, :32]) + ops.square(imaginary[:, :32]))


def test_the_spectrum_of_a_sound_is_in_float_without_being_told():
    """In int8 its quiet frequencies are 0: 5 dB."""
    keras.utils.set_random_seed(0)
    times = np.linspace(0, 1, 64)
    pitches = np.random.default_rng(0).uniform(2, 30, (64, 3, 1))
    sounds = np.sum(np.array([[1.0], [0.02], [0.01]]) * np.sin(2 * np.pi * pitches * times), axis=1)
    model = _over(
        lambda x: L.Dense(3)(L.Dense(8, activation="relu")(ops.log1p(_spectrum_of_sound(x)))), (64, 1)
    )
    x = sounds[..., None].astype("float32")
    file = tfopt.to_tflite(model, "int8", x)
    assert file.verify(model, x, classification=False).snr_db > 20
    assert "FULLY_CONNECTED" in {each.operator for each in file.summary().float_operators}
