"""A kernel that several calls read is in the file once, also where each has a normalization of its own."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt

X = np.random.default_rng(0).normal(size=(16, 6, 6, 8)).astype("float32")


def model(kernel, norms=3, before=lambda x: x):
    """A layer called three times, with three normalizations after it or one."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(X.shape[1:])
    normalizations = [L.BatchNormalization() for _ in range(norms)]
    x = before(inputs)
    for number in range(3):
        x = L.ReLU()(normalizations[number % norms](kernel(x)))
    made = keras.Model(inputs, L.Dense(5, name="head")(L.Flatten()(x)))
    for number, norm in enumerate(normalizations):
        norm.gamma.assign(np.linspace(0.5, 1.5 + number, norm.gamma.shape[0]))
        norm.moving_mean.assign(np.linspace(-0.1, 0.1 * number, norm.gamma.shape[0]))
    return made


def kernels(file):
    return [weight.shape for weight in file.summary().weights if weight.size in (576, 72, 64)]


def operators(file):
    return {each.name: each.count for each in file.summary().operators}


KERNELS = {
    "convolution": lambda: L.Conv2D(8, 3, padding="same", use_bias=False),
    "with a bias": lambda: L.Conv2D(8, 3, padding="same", bias_initializer="uniform"),
    "depthwise": lambda: L.DepthwiseConv2D(3, padding="same", use_bias=False),
    "dense": lambda: L.Dense(8),
    "dilated": lambda: L.Conv2D(8, 3, padding="same", dilation_rate=2, use_bias=False),
}


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scheme", ["float32", pytest.param("int8_weights", marks=pytest.mark.slow)])
def test_each_call_with_a_normalization_of_its_own_reads_the_one_kernel(kernel, scheme):
    source = model(KERNELS[kernel]())
    file = tfopt.to_tflite(source, scheme)
    assert len(kernels(file)) == 1
    assert "CEIL" not in operators(file)
    difference = np.abs(file.predict(X) - source.predict(X, verbose=0)).max()
    assert difference < (1e-4 if scheme == "float32" else 0.2)


def test_a_scale_that_all_calls_share_is_multiplied_into_the_kernel_as_ever():
    file = tfopt.to_tflite(model(KERNELS["convolution"](), norms=1))
    assert len(kernels(file)) == 1
    assert "MUL" not in operators(file)


def test_a_kernel_with_one_call_is_left_to_the_converter():
    keras.utils.set_random_seed(0)
    inputs = keras.Input(X.shape[1:])
    x = L.BatchNormalization()(KERNELS["convolution"]()(inputs))
    assert "MUL" not in operators(tfopt.to_tflite(keras.Model(inputs, x)))


def test_a_barrier_is_no_operation_that_the_model_has():
    file = tfopt.to_tflite(model(KERNELS["convolution"](), before=lambda x: keras.ops.ceil(x)))
    assert operators(file)["CEIL"] == 1
    assert len(kernels(file)) == 1


def test_an_integer_file_has_the_kernel_once_without():
    file = tfopt.to_tflite(model(KERNELS["convolution"]()), "int8", X)
    assert len(kernels(file)) == 1
    assert "MUL" not in operators(file)
