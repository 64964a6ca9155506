"""Sums and products of one reshaped tensor, such as the square after a Conv1D, become files."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate

SOURCES = {
    "conv1d": lambda: L.Conv1D(4, 5),
    "conv1d_with_bias": lambda: L.Conv1D(4, 5, bias_initializer="random_normal"),
    "conv1d_relu": lambda: L.Conv1D(4, 5, activation="relu", use_bias=False),
    "conv1d_bn": lambda: keras.Sequential([L.Conv1D(4, 5), L.BatchNormalization(), L.ReLU()]),
    "depthwise": lambda: L.DepthwiseConv1D(5),
    "separable": lambda: L.SeparableConv1D(4, 5, activation="relu"),
    "pooling": lambda: keras.Sequential([L.Conv1D(4, 5), L.MaxPooling1D(2)]),
    "reshape": lambda: keras.Sequential([L.Flatten(), L.Dense(32), L.Reshape((8, 4))]),
    "conv1d_transpose": lambda: L.Conv1DTranspose(4, 3, strides=2, padding="same"),
}
COMBINATIONS = {
    "square": ops.square,
    "product": lambda x: x * x,
    "cube": lambda x: x * x * x,
    "sum": lambda x: x + x,
    "difference": lambda x: L.Subtract()([x, x]),
    "with_its_relu": lambda x: x * ops.relu(x),
    "with_its_magnitude": lambda x: x * ops.abs(x),
    "residual": lambda x: x + L.Conv1D(x.shape[-1], 1, bias_initializer="random_normal")(x),
    "two_residuals": lambda x: L.Add()(
        [y := L.ReLU()(x + L.Conv1D(x.shape[-1], 1)(x)), L.Conv1D(x.shape[-1], 1)(y)]
    ),
    "gate": lambda x: x * ops.mean(x * x, axis=1, keepdims=True),
}
QUICK = {
    ("conv1d", "square"),
    ("conv1d_with_bias", "residual"),
    ("depthwise", "product"),
    ("conv1d", "with_its_relu"),
}


@pytest.mark.parametrize(
    ("source", "combination"),
    [
        pytest.param(source, name, marks=() if (source, name) in QUICK else pytest.mark.slow)
        for source in SOURCES
        for name in COMBINATIONS
        if source == "conv1d"
        or name in ("square", "product", "sum", "with_its_relu", "residual", "two_residuals")
    ],
)
def test_the_file_does_what_the_model_does(source, combination):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 3))
    model = keras.Model(inputs, COMBINATIONS[combination](SOURCES[source]()(inputs)))
    x = np.random.default_rng(0).normal(size=(64, 16, 3)).astype("float32")
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert not file.summary().float_operators
    # A product doubles the step that a rounding before it may differ by.
    assert file.verify(quantized, x).max_lsb <= 2


@pytest.mark.parametrize("rank", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_dilated_convolutions_of_one_tensor_are_integers_with_their_biases(rank):
    """The gated unit of a temporal convolution."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16,) * rank + (3,))
    layer = {1: L.Conv1D, 2: L.Conv2D}[rank]
    config = {"padding": "same", "dilation_rate": 2, "bias_initializer": "random_normal"}
    value, gate = layer(4, 3, activation="tanh", **config), layer(4, 3, activation="sigmoid", **config)
    model = keras.Model(inputs, L.Multiply()([value(inputs), gate(inputs)]))
    x = np.random.default_rng(0).normal(size=(64, *inputs.shape[1:])).astype("float32")
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert not file.summary().float_operators
    # A step of the convolution is up to five of the tanh.
    difference = file.verify(quantized, x)
    assert difference.max_lsb <= 5
    assert difference.mean_lsb < 0.01


@pytest.mark.parametrize(
    "layer",
    [
        pytest.param(L.Conv1D, id="Conv1D"),
        pytest.param(L.Conv1DTranspose, id="Conv1DTranspose"),
        pytest.param(L.SeparableConv1D, id="SeparableConv1D", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("filters", [1, 3])
def test_a_bias_of_one_dimension_is_fused_whatever_the_filters(layer, filters):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 3))
    model = keras.Model(inputs, layer(filters, 5, padding="same", bias_initializer="random_normal")(inputs))
    x = np.random.default_rng(0).normal(size=(64, 16, 3)).astype("float32")
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, x)
    file = tfopt.to_tflite(quantized)
    assert not file.summary().float_operators
    assert "ADD" not in [operator.name for operator in file.summary().operators]
    assert file.verify(quantized, x).max_lsb <= 1
    assert file.verify(model, x).snr_db > 30
