"""Sizes of None: fixed by input_shapes or by the data, or left open for whoever runs the file."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.quantization import calibrate

RNG = np.random.default_rng(0)


def _images(size):
    return RNG.random((64, size, size, 3), dtype=np.float32)


def _tokens(size):
    return RNG.integers(0, 20, (64, size)).astype("int32")


def _convolutions():
    inputs = keras.Input((None, None, 3), name="image")
    x = L.Conv2D(6, 3, strides=2, padding="same", activation="relu")(inputs)
    x = L.Concatenate()([L.UpSampling2D()(x), L.Conv2D(4, 3, padding="same")(inputs)])
    return keras.Model(inputs, L.Conv2D(2, 1)(x))


def _classifier():
    inputs = keras.Input((None, None, 3), name="image")
    x = L.MaxPooling2D()(L.Conv2D(6, 3, strides=2, activation="relu")(inputs))
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling2D()(x)))


def _text():
    inputs = keras.Input((None,), dtype="int32", name="ids")
    x = L.Conv1D(8, 3, padding="same", activation="relu")(L.Embedding(20, 8)(inputs))
    return keras.Model(inputs, L.Dense(3)(L.GlobalMaxPooling1D()(x)))


def _recurrent():
    inputs = keras.Input((None, 3), name="steps")
    return keras.Model(inputs, L.Dense(2)(L.LSTM(4)(inputs)))


MODELS = {
    "convolutions": (_convolutions, _images),
    "classifier": (_classifier, _images),
    "text": (_text, _tokens),
}


@pytest.mark.parametrize("scheme", ["float32", "int8", "trained"])
@pytest.mark.parametrize("name", MODELS)
def test_a_file_with_open_sizes_takes_any(name, scheme):
    keras.utils.set_random_seed(0)
    make, data = MODELS[name]
    model = make()
    open_sizes = tuple(model.inputs[0].shape[1:])
    if scheme == "trained":
        model = tfopt.quantize_aware(model)
        calibrate(model, data(16))
    samples = data(16) if scheme == "int8" else None
    file = tfopt.to_tflite(model, None if scheme == "trained" else scheme, samples, input_shapes=open_sizes)
    assert file.inputs[0].shape == (1, *open_sizes)
    for size in (16, 24, 16, 40):
        verification = file.verify(model, data(size), classification=False)
        assert verification.snr_db > (20 if scheme == "int8" else 40)
        assert scheme != "trained" or verification.max_lsb <= 1


def test_sizes_that_the_data_has_are_those_of_the_file():
    file = tfopt.to_tflite(_classifier(), "int8", _images(20))
    assert file.inputs[0].shape == (1, 20, 20, 3)


def test_a_size_of_none_is_refused_with_both_ways_and_each_leads_to_a_file():
    model = _text()
    with pytest.raises(
        InvalidArgumentError, match=r"input_shapes={'ids': \(64,\)}.*input_shapes={'ids': \(None,\)}"
    ):
        tfopt.to_tflite(model)
    assert tfopt.to_tflite(model, input_shapes={"ids": (64,)}).inputs[0].shape == (1, 64)
    assert tfopt.to_tflite(model, input_shapes={"ids": (None,)}).inputs[0].shape == (1, None)


def test_what_needs_a_fixed_size_says_so_and_the_advice_leads_to_a_file():
    model, x = _recurrent(), RNG.normal(size=(64, 12, 3)).astype("float32")
    with pytest.raises(UnsupportedOperation, match=r"input_shapes=\(20, 8\)"):
        tfopt.to_tflite(model, "int8", x, input_shapes=(None, 3))
    with pytest.raises(UnsupportedOperation, match=r"input_shapes=\(20, 8\)"):
        tfopt.quantize_aware(model)
    assert tfopt.to_tflite(model, "int8", x, input_shapes=(12, 3)).inputs[0].shape == (1, 12, 3)
    assert tfopt.to_tflite(model, "int8", x).inputs[0].shape == (1, 12, 3)


def test_other_engines_fix_the_sizes():
    with pytest.raises(InvalidArgumentError, match="give input_shapes whole numbers"):
        tfopt.to_tflite(_text(), "int8", _tokens(16), engine="converter", input_shapes=(None,))
    assert tfopt.to_tflite(_text(), "int8", _tokens(16), engine="converter", input_shapes=(16,))


def test_latency_and_tensors_are_those_of_a_size():
    file = tfopt.to_tflite(_text(), input_shapes=(None,))
    with pytest.raises(
        InvalidArgumentError, match=r"measure one with fixed sizes, to_tflite\(model, input_shapes"
    ):
        file.benchmark()
    with pytest.raises(InvalidArgumentError, match="whole numbers in input_shapes"):
        tfopt.debug_quantization(_text(), file, _tokens(16))
    assert tfopt.to_tflite(_text(), input_shapes=(16,)).benchmark(turns=2).median_seconds > 0


def test_an_input_that_the_file_cannot_take_is_refused():
    file = tfopt.to_tflite(_classifier(), input_shapes=(None, None, 3))
    with pytest.raises(InvalidArgumentError, match=r"must have the shape \(samples, None, None, 3\)"):
        file.predict(np.zeros((2, 16, 16, 1), "float32"))
    with pytest.raises(
        InvalidArgumentError, match=r"LiteRT cannot run .* on inputs of the shapes \(1, 1, 3\)"
    ):
        file.predict(np.zeros((2, 1, 1, 3), "float32"))
    assert file.predict(_images(16)).shape == (64, 4)
