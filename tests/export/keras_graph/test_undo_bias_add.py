"""Sums that Keras computes as biases in a graph of one sample."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate

X = np.random.default_rng(0).normal(size=(8, 6, 6)).astype("float32")


def test_a_number_for_each_step_is_no_bias_of_the_channels():
    inputs = keras.Input((6, 6))
    model = keras.Model(inputs, inputs + ops.mean(inputs, -1, keepdims=True))
    np.testing.assert_allclose(tfopt.to_tflite(model, "float32").predict(X), model(X), atol=1e-6)


@pytest.mark.slow
def test_two_numbers_for_each_step_are_summed_in_integers():
    inputs = keras.Input((6, 6))
    x = L.Dense(1)(inputs) + ops.mean(inputs, -1, keepdims=True)
    model = tfopt.quantize_aware(keras.Model(inputs, L.Dense(3)(x)))
    calibrate(model, X)
    file = tfopt.to_tflite(model)
    assert not file.summary().float_operators
    assert file.verify(model, X).max_lsb <= 1
