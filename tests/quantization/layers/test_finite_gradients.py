"""Gradients stay finite, and near those of the float model, where images are flat."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L
from keras import ops

import tfopt
from tfopt.quantization import calibrate

FUNCTIONS = {
    "deviation": lambda x: ops.sqrt(ops.var(x, axis=[1, 2]) + 1e-5),
    "std": lambda x: ops.std(x, axis=[1, 2]),
    "inverse_root": lambda x: ops.rsqrt(ops.mean(ops.square(x), axis=[1, 2]) + 1e-5),
    "softsign": lambda x: ops.mean(x / (ops.abs(x) + 1e-3), axis=[1, 2]),
    "log": lambda x: ops.log(ops.mean(ops.square(x), axis=[1, 2]) + 1e-4),
    "log_of_maximum": lambda x: ops.log(ops.maximum(ops.mean(x, axis=[1, 2]), 1e-4)),
    "root": lambda x: ops.sqrt(ops.relu(ops.mean(x, axis=[1, 2]))),
    "power": lambda x: ops.power(ops.mean(ops.square(x), axis=[1, 2]) + 1e-5, 0.25),
    "norm": lambda x: ops.norm(ops.mean(x, axis=[1, 2]), axis=-1, keepdims=True),
    "unit": lambda x: ops.normalize(ops.mean(x, axis=[1, 2])),
    "adain": lambda x: ops.mean(
        (x - ops.mean(x, axis=[1, 2], keepdims=True))
        / ops.sqrt(ops.var(x, axis=[1, 2], keepdims=True) + 1e-5),
        axis=[1, 2],
    ),
    "share": lambda x: ops.mean(x / (ops.sum(x, axis=-1, keepdims=True) + 1e-6), axis=[1, 2]),
}
QUICK = ("deviation", "softsign", "log", "norm")


def _gradients(model, x):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x, training=True) - 1.0) ** 2)
    return tape.gradient(loss, model.trainable_variables)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in FUNCTIONS]
)
def test_flat_images_have_finite_gradients(name):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(8, 3, activation="relu", padding="same")(inputs)
    model = keras.Model(inputs, L.Dense(2)(L.Flatten()(FUNCTIONS[name](x))))
    images = np.random.default_rng(0).uniform(0, 1, (16, 8, 8, 3)).astype("float32")
    images[:8] *= 1e-3  # in float their variance is small, rounded it is 0
    images[0] = 0.5
    quantized = tfopt.quantize_aware(model)
    calibrate(quantized, images)
    found = _gradients(quantized, images)
    assert all(np.isfinite(gradient).all() for gradient in found)
    expected = _gradients(model, images)
    if all(np.isfinite(gradient).all() for gradient in expected):
        norm, float_norm = (np.sqrt(sum(np.square(g).sum() for g in each)) for each in (found, expected))
        assert norm < 30 * float_norm + 1e-3


def test_a_rounded_argument_of_zero_has_the_slope_of_its_neighbourhood():
    from tfopt.quantization.layers.finite_gradients import with_finite_gradient

    x = tf.constant([0.0, 0.02, 0.5])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = with_finite_gradient(tf.sqrt, x)
    np.testing.assert_array_equal(y, tf.sqrt(x))
    np.testing.assert_allclose(tape.gradient(y, x), 0.5 / np.sqrt([0.01, 0.02, 0.5]), rtol=1e-5)


def test_a_function_of_a_variable_alone_trains():
    """A learned temperature that scores are divided by."""

    class Divided(keras.layers.Layer):
        def build(self, _):
            self.temperature = keras.Variable(np.float32(2.0), trainable=True)

        def call(self, x):
            return x * (1.0 / self.temperature)

    inputs = keras.Input((3,))
    quantized = tfopt.quantize_aware(keras.Model(inputs, keras.layers.Dense(2)(Divided()(inputs))))
    x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
    tfopt.quantization.calibrate(quantized, x)
    quantized.compile(keras.optimizers.SGD(0.1), "mse")
    before = [weight.numpy() for weight in quantized.trainable_weights]
    quantized.fit(x, np.ones((32, 2)), verbose=0)
    assert all(
        (old != new.numpy()).any() for old, new in zip(before, quantized.trainable_weights, strict=True)
    )
    assert tfopt.to_tflite(quantized).verify(quantized, x, classification=False).passed
