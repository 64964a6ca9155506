"""Layers with a kernel: without their activation, in two parts, and of code that multiplies."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (lambda: L.Dense(3, activation="tanh"), (4,)),
        (lambda: L.Conv1D(3, 2, activation="tanh"), (5, 4)),
        (lambda: L.Conv2D(3, 2, activation="tanh", use_bias=False), (5, 5, 4)),
        (lambda: L.Conv3D(3, 2, activation="tanh"), (3, 3, 3, 2)),
        (lambda: L.DepthwiseConv1D(2, activation="tanh"), (5, 4)),
        (lambda: L.DepthwiseConv2D(2, activation="tanh", depth_multiplier=2), (5, 5, 4)),
        (lambda: L.Conv1DTranspose(3, 2, activation="tanh", strides=2), (5, 4)),
        (lambda: L.Conv2DTranspose(3, 2, activation="tanh", strides=2), (5, 5, 4)),
    ],
)
def test_an_activation_is_a_layer_of_its_own(canonicalized, layer, shape):
    made = layer()
    assert canonicalized(made, shape) == [type(made).__name__, "Activation"]


@pytest.mark.parametrize(
    ("layer", "shape", "becomes"),
    [
        (L.SeparableConv1D(3, 2, depth_multiplier=2), (6, 4), ["DepthwiseConv1D", "Conv1D"]),
        (
            L.SeparableConv2D(3, 2, strides=2, padding="same", activation="relu", use_bias=False),
            (6, 6, 4),
            ["DepthwiseConv2D", "Conv2D", "Activation"],
        ),
    ],
)
def test_a_separable_convolution_is_two(canonicalized, layer, shape, becomes):
    assert canonicalized(layer, shape) == becomes


def test_a_penalty_of_activations_is_no_operation(canonicalized):
    assert canonicalized(lambda x: L.Dense(2)(L.ActivityRegularization(0.1)(x)), (4,)) == ["Dense"]


class Own(L.Layer):
    """Multiplies by weights that it holds itself."""

    def __init__(self, shape, function, **kwargs):
        super().__init__(**kwargs)
        self.size, self.function = shape, function

    def build(self, _):
        self.kernel = self.add_weight(shape=self.size, name="kernel")

    def call(self, x):
        return self.function(x, self.kernel)


@pytest.mark.parametrize(
    ("size", "function", "shape", "becomes"),
    [
        ((4, 3), ops.matmul, (4,), ["Dense"]),
        ((4, 3), ops.matmul, (5, 4), ["Dense"]),
        ((2, 4, 3), ops.conv, (5, 4), ["Conv1D"]),
        ((2, 2, 4, 3), ops.conv, (5, 5, 4), ["Conv2D"]),
        ((2, 2, 4, 1), ops.depthwise_conv, (5, 5, 4), ["DepthwiseConv2D"]),
        ((2, 4, 3), lambda x, kernel: ops.conv(x, kernel * 0.5), (5, 4), ["Conv1D", "Scaling"]),
    ],
)
def test_a_kernel_of_code_is_that_of_a_layer(canonicalized, size, function, shape, becomes):
    found = canonicalized(lambda x: Own(size, function)(x), shape)
    # What made the kernel, a layer that holds it, may still stand in the graph, read by nobody.
    assert [name for name in found if name != "Constant"][-len(becomes) :] == becomes


def test_a_kernel_under_a_mask_has_the_zeros_itself(canonicalized):
    mask = np.tri(4, 3, dtype="float32")
    found = canonicalized(lambda x: Own((4, 3), lambda x, k: ops.matmul(x, k * mask))(x), (4,))
    assert found[-1] == "Dense"


def test_a_product_of_two_tensors_stays(canonicalized):
    assert canonicalized(ops.matmul, (4, 3), (3, 2)) == ["Matmul"]
    assert keras.ops.matmul(keras.Input((4, 3)), keras.Input((3, 2))).shape == (None, 4, 2)
