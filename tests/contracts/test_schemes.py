"""What every quantization scheme promises: one table, one set of tests."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

import tfopt
from tfopt.quantization import SCHEMES, Scheme, calibrate

ROWS = {
    **SCHEMES,
    "per_tensor": Scheme(per_channel=False),
    "six_bits": Scheme(weight_bits=6),
    "learned": Scheme(weight_bits=4, weight_range="lsq"),
    "learned_of_the_whole_kernel": Scheme(weight_bits=2, weight_range="lsq", per_channel=False),
    "stochastic": Scheme(weight_bits=4, rounding="stochastic"),
    "ternary_weights": Scheme(weight_bits=2, weight_range="mean", activation_bits=None),
}
ROWS["learned_blocks"] = dataclasses.replace(ROWS["learned"], activation_bits=None, block_size=32)
ROWS["stochastic_blocks"] = dataclasses.replace(SCHEMES["int4_weights"], rounding="stochastic")
ROWS["four_bits_dynamic"] = Scheme(weight_bits=4, activation_bits=None, dynamic=True)
ROWS["learned_stochastic"] = dataclasses.replace(ROWS["learned"], rounding="stochastic", activation_bits=None)
QUICK = ("binary",)
JIT = ("learned_stochastic", "learned_blocks", "dynamic")
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ROWS]

X = np.random.default_rng(0).normal(size=(64, 6, 6, 2)).astype("float32")
Y = np.random.default_rng(1).integers(0, 4, 64)


def _quantized(scheme, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, L.Dense(4, name="head")(L.Flatten()(x)))
    quantized = tfopt.quantize_aware(model, scheme)
    calibrate(quantized, X)
    return quantized


def _rounds_inputs(scheme):
    return scheme.dynamic or scheme.block_size is not None


def _train(model, epochs=1, **options):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), loss, **options)
    return model.fit(X, Y, batch_size=16, epochs=epochs, shuffle=False, verbose=0).history["loss"]


@pytest.mark.parametrize("name", NAMES)
def test_it_learns_is_saved_and_exported(name, tmp_path):
    model = _quantized(ROWS[name])
    losses = _train(model, epochs=6, jit_compile=name in JIT)
    assert losses[-1] < 0.8 * losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    file = tfopt.to_tflite(loaded)
    assert bytes(file) == bytes(tfopt.to_tflite(model))
    output = file.verify(model, X).outputs[0]
    if ROWS[name].activation_bits is None:
        # A value next to the middle between two integers may fall to either side where inputs are rounded.
        assert output.relative_error < (1e-2 if _rounds_inputs(ROWS[name]) else 1e-4)
    else:
        assert output.max_lsb <= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_mixed_precision_trains_and_exports(name):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = _quantized(ROWS[name])
    finally:
        keras.config.set_dtype_policy("float32")
    losses = _train(model, epochs=3)
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert tfopt.to_tflite(model).verify(model, X).outputs[0].snr_db > 20


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, scheme in ROWS.items() if scheme.rounding == "nearest"])
def test_two_devices_equal_one(name, two_devices):
    alone = _quantized(ROWS[name])
    _train(alone)
    with two_devices.scope():
        mirrored = _quantized(ROWS[name])
        _train(mirrored)
    for one, two in zip(alone.trainable_variables, mirrored.trainable_variables, strict=True):
        # A weight that lies between two values of the grid may go either way.
        assert np.mean(np.abs(one.numpy() - two.numpy()) > 2e-3) < 0.02


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_every_weight_gets_a_gradient(name):
    model = _quantized(ROWS[name])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(X, training=True)[:, 0] ** 2)
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    for variable, gradient in zip(model.trainable_variables, gradients, strict=True):
        assert gradient is not None, variable.path
        assert np.isfinite(gradient).all()
        assert np.any(gradient != 0), variable.path
