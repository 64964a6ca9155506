"""Integers after training, through the calibrated quantization-aware graph; floats of simpler operations."""

import warnings

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.errors import ConversionError, InvalidArgumentError

SEQUENCE = np.random.default_rng(0).normal(size=(128, 6, 4)).astype("float32")
IMAGE = np.random.default_rng(0).uniform(size=(128, 8, 8, 3)).astype("float32")


class Patches(L.Layer):
    def __init__(self):
        super().__init__()

    def call(self, x):
        return ops.image.extract_patches(x, size=4)


def _of(shape, *layers):
    inputs = x = keras.Input(shape)
    for layer in layers:
        x = layer(x)
    return keras.Model(inputs, x)


def _subclassed():
    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.head = L.Dense(8, activation="relu"), L.Dense(3)

        def call(self, x):
            return self.head(self.hidden(ops.mean(x, axis=1)))

    model = Net()
    model(SEQUENCE[:2])
    return model


MODELS = {
    "lstm": (lambda: _of((6, 4), L.LSTM(8), L.Dense(3)), SEQUENCE),
    "patches": (lambda: _of((8, 8, 3), Patches(), L.Flatten(), L.Dense(3)), IMAGE),
    "layer_norm": (lambda: _of((6, 4), L.LayerNormalization(), L.Flatten(), L.Dense(3)), SEQUENCE),
    "subclassed": (_subclassed, SEQUENCE),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_the_converter_cannot_calibrate_becomes_an_int8_file(name):
    keras.utils.set_random_seed(0)
    make, x = MODELS[name]
    model = make()
    file = tfopt.to_tflite(model, "int8", x)
    assert file.inputs[0].dtype == "int8"
    assert file.verify(model, x).snr_db > 20


def test_it_is_the_file_of_the_calibrated_quantization_aware_model():
    keras.utils.set_random_seed(0)
    model = _of((8, 8, 3), L.Conv2D(4, 3, activation="relu"), L.Flatten(), L.Dense(3))
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, IMAGE)
    tfopt.quantization.round_biases(quantized)
    one, other = tfopt.to_tflite(model, "int8", IMAGE), tfopt.to_tflite(quantized)
    np.testing.assert_array_equal(one.predict_quantized(IMAGE), other.predict_quantized(IMAGE))


def test_rules_are_those_of_quantization_aware_training():
    model = _of((6, 4), L.LSTM(8, name="lstm"), L.Dense(3, name="head"))
    file = tfopt.to_tflite(model, "int8", SEQUENCE, rules={"head": None})
    assert file.outputs[0].dtype == "float32"
    assert "FULLY_CONNECTED" in {each.operator for each in file.summary().float_operators}


def test_a_class_that_trains_in_its_own_way_is_nothing_to_warn_of_in_a_file():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = L.Dense(3)

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            raise NotImplementedError

    model = Own()
    model(SEQUENCE[:2])
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="The class of")
        tfopt.to_tflite(model, "int8", SEQUENCE)
    with pytest.warns(UserWarning, match=r"class of 'own\w*'.*train_step"):
        tfopt.quantize_aware(model)


def test_the_own_graph_is_for_schemes_of_training():
    with pytest.raises(InvalidArgumentError, match=r"engine='keras' cannot do the scheme 'float16'"):
        tfopt.to_tflite(_of((4,), L.Dense(2)), "float16", engine="keras")


def test_floats_that_the_converter_refuses_are_written_as_simpler_operations():
    x = np.random.default_rng(0).normal(size=(16, 4, 8, 8, 3)).astype("float32")
    model = _of(x.shape[1:], L.MaxPooling3D(2, name="pool"), L.Flatten(name="flat"))
    for scheme in ("float32", "float16"):
        assert tfopt.to_tflite(model, scheme).verify(model, x).snr_db > 60


def test_where_that_does_not_help_the_first_refusal_is_told():
    class Unknown(L.Layer):
        def call(self, x):
            return ops.linalg.det(x)

    model = _of((3, 3), Unknown(name="unknown"))
    with pytest.raises(ConversionError, match="MatrixDeterminant"):
        tfopt.to_tflite(model)
