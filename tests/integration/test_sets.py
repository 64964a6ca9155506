"""Models whose inputs are sets of rows, as support and query of few-shot models."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.quantization import calibrate


def _numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def _model(support=5, query=None):
    keras.utils.set_random_seed(0)
    inputs = [
        keras.Input(batch_shape=(support, 6), name="support"),
        keras.Input(batch_shape=(query, 6), name="query"),
    ]
    embedded = L.Dense(4, activation="relu")
    return keras.Model(inputs, ops.matmul(embedded(inputs[1]), ops.transpose(embedded(inputs[0]))))


ADVICE = r"inputs = \[keras.Input\(batch_shape=\(1, 5, 6\)\), keras.Input\(batch_shape=\(1, %d, 6\)\)\]"


def test_inputs_of_different_fixed_batches_are_refused_before_conversion():
    model = _model(5, 3)
    for refused in (
        lambda: tfopt.to_tflite(model),
        lambda: calibrate(tfopt.quantize_aware(model), [_numbers(5, 6), _numbers(3, 6)]),
    ):
        with pytest.raises(InvalidArgumentError, match=r"different numbers of rows \(5, 3\).*" + ADVICE % 3):
            refused()


def test_a_set_beside_samples_is_refused_where_their_numbers_differ():
    model, x = _model(), [_numbers(5, 6), _numbers(16, 6)]
    file = tfopt.to_tflite(model)
    for refused in (
        lambda: file.verify(model, x),
        lambda: file.predict(x),
        lambda: calibrate(tfopt.quantize_aware(model), x),
        lambda: tfopt.to_tflite(model, "int8", x),
    ):
        with pytest.raises(InvalidArgumentError, match=ADVICE % 16):
            refused()


def test_the_batch_is_that_of_the_input_that_has_one():
    inputs = [keras.Input((6,), name="query"), keras.Input(batch_shape=(5, 6), name="support")]
    file = tfopt.to_tflite(keras.Model(inputs, L.Add()(inputs)))
    assert [tuple(spec.shape) for spec in file.inputs] == [(5, 6), (5, 6)]


@pytest.mark.parametrize("query", [None, 3])
def test_the_advice_works(query):
    model, rows = _model(5, query), query or 16
    inputs = [keras.Input(batch_shape=(1, 5, 6)), keras.Input(batch_shape=(1, rows, 6))]
    model = keras.Model(inputs, keras.ops.expand_dims(model([x[0] for x in inputs]), 0))
    x = [_numbers(130, 5, 6), _numbers(130, rows, 6)]
    file = tfopt.to_tflite(model, "int8", x)
    quality = file.verify(model, x, classification=False)
    assert quality.passed
    assert quality.outputs[0].snr_db > 20
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    assert tfopt.to_tflite(quantized).verify(quantized, x, classification=False).max_lsb <= 1
