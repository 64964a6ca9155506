"""Tensors that meet in one scale: the range that they share holds each of them."""

import keras
import numpy as np
import pytest

import tfopt
from tfopt.quantization import calibrate

X = np.random.default_rng(0).uniform(-1, 1, (64, 4, 4, 2)).astype("float32")


def model_of(branches):
    """Return a model that puts `x` and ten times `x` together."""
    inputs = keras.Input((4, 4, 2), name="x")
    one, ten = (keras.layers.Conv2D(2, 1, use_bias=False, name=name) for name in ("small", "large"))
    outputs = branches(one(inputs), ten(inputs))
    model = keras.Model(inputs, outputs)
    one.kernel.assign(np.eye(2).reshape(1, 1, 2, 2))
    ten.kernel.assign(10 * np.eye(2).reshape(1, 1, 2, 2))
    return model


def concatenated(one, ten):
    return keras.layers.Concatenate(name="both")([one, ten])


@pytest.mark.parametrize("way", ["calibrated", "trained"])
def test_the_range_holds_the_largest_tensor(way):
    quantized = tfopt.quantize_aware(model_of(concatenated))
    if way == "calibrated":
        calibrate(quantized, X)
    else:
        quantized.compile(keras.optimizers.SGD(0.0), "mse")
        quantized.fit(X, np.zeros((64, 4, 4, 4)), batch_size=16, epochs=2, verbose=0)
    difference = np.abs(quantized.predict(X, verbose=0) - model_of(concatenated).predict(X, verbose=0))
    assert difference.max() < 0.2, "values of the large branch are clipped"


def test_training_follows_each_tensor():
    quantized = tfopt.quantize_aware(model_of(concatenated))
    calibrate(quantized, X)
    (quantizer,) = (layer for layer in quantized.layers if getattr(layer, "tensors", 1) == 2)
    before = float(np.max(quantizer.maximum))
    quantized.compile(keras.optimizers.SGD(0.0), "mse")
    quantized.fit(2 * X, np.zeros((64, 4, 4, 4)), batch_size=16, epochs=2, verbose=0)
    small, large = quantizer.maximum.numpy()
    assert before < large
    assert small < before  # on its way to its own


def test_means_do_not_narrow_the_range_of_what_they_are_of():
    inputs = keras.Input((4, 4, 2), name="x")
    quantized = tfopt.quantize_aware(keras.Model(inputs, keras.layers.AveragePooling2D(4)(inputs)))
    calibrate(quantized, X, batch_size=64)
    quantizer = quantized.get_layer("x.quantizer")
    assert float(quantizer.maximum) == pytest.approx(X.max())
    quantized.compile("sgd", "mse")
    quantized.fit(X, np.zeros((64, 1, 1, 2)), batch_size=64, epochs=3, verbose=0)
    assert float(quantizer.maximum) == pytest.approx(X.max())


@pytest.mark.parametrize("shape", [(4, 4, 2), (6, 3), (5,)])
@pytest.mark.parametrize("ceiling", [None, 6.0])
def test_a_relu_by_itself_is_fused_into_a_pooling(shape, ceiling):
    """XNNPACK takes no RELU in int8."""
    inputs = keras.Input(shape, name="x")
    quantized = tfopt.quantize_aware(keras.Model(inputs, keras.layers.ReLU(ceiling, name="relu")(inputs)))
    x = np.random.default_rng(0).uniform(-9, 9, (64, *shape)).astype("float32")
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert {operator.name for operator in file.summary().operators} <= {"MAX_POOL_2D", "RESHAPE"}
    assert file.verify(quantized, x).max_lsb == 0
    assert quantized.predict(x, verbose=0).min() == 0
