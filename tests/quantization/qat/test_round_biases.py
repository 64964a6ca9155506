"""Biases on the grid of the file."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.quantization import calibrate, round_biases

X = np.random.default_rng(0).normal(size=(128, 12, 12, 3)).astype("float32")
NORMAL = keras.initializers.RandomNormal(stddev=0.1, seed=1)
NORM = {"beta_initializer": NORMAL, "moving_mean_initializer": NORMAL}


def _float_model():
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            L.BatchNormalization(**NORM),  # alone: a depthwise convolution in the file
            L.ReLU(),
            L.ZeroPadding2D(1),
            L.Conv2D(8, 3, use_bias=False),
            L.BatchNormalization(scale=False, **NORM),
            L.ReLU(),
            L.DepthwiseConv2D(3, depth_multiplier=2, bias_initializer=NORMAL),
            L.BatchNormalization(**NORM),
            L.ReLU(),
            L.SeparableConv2D(8, 3, bias_initializer=NORMAL),
            L.Conv2DTranspose(4, 3, strides=2, bias_initializer=NORMAL),
            L.MaxPooling2D(),
            L.Flatten(),
            L.Dense(16, "relu", bias_initializer=NORMAL),
            L.Dense(4, bias_initializer=NORMAL),
        ]
    )


@pytest.fixture(scope="module")
def rounded():
    """The quantized model before and after, and the file of each."""
    model = tfopt.quantize_aware(_float_model())
    calibrate(model, X)
    before = tfopt.to_tflite(model)
    outputs, weights = model.predict(X, verbose=0), [w.copy() for w in model.get_weights()]
    count = round_biases(model)
    return model, before, tfopt.to_tflite(model), outputs, weights, count


def test_the_model_adds_what_the_file_adds(rounded):
    model, before, after, outputs, _, count = rounded
    step = np.abs(outputs).max() / 128
    least = np.mean(np.abs(before.predict(X) - outputs)) / step
    assert count == 7
    assert after.verify(model, X).max_lsb <= 1
    assert np.mean(np.abs(after.predict(X) - model.predict(X, verbose=0))) / step < least / 5


def test_the_file_stays_as_it_was(rounded):
    _, before, after, _, _, _ = rounded
    np.testing.assert_array_equal(before.predict(X), after.predict(X))


def test_rounding_again_moves_nothing(rounded):
    model, _, _, _, weights, _ = rounded
    first = [w.copy() for w in model.get_weights()]
    assert any(np.any(one != other) for one, other in zip(weights, first, strict=True))
    round_biases(model)
    for one, other in zip(first, model.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def test_a_shared_layer_is_left_alone():
    inputs, shared = keras.Input((4,)), L.Dense(4, bias_initializer=NORMAL)
    model = tfopt.quantize_aware(keras.Model(inputs, shared(L.ReLU()(shared(inputs)))))
    calibrate(model, X[0, 0, :, :1] * np.ones((1, 4), "float32"))
    assert round_biases(model) == 0


def test_what_is_not_ready_is_refused():
    with pytest.raises(InvalidArgumentError, match="needs a quantization-aware model"):
        round_biases(_float_model())
    with pytest.raises(InvalidArgumentError, match="Expected a Keras 3 model"):
        round_biases(None)
    with pytest.raises(InvalidArgumentError, match="calibrate"):
        round_biases(tfopt.quantize_aware(_float_model()))
