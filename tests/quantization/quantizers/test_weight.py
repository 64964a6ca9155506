"""Layers whose weights are on the grid of a scheme."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers as L

import tfopt
from tfopt.errors import InvalidArgumentError, UnsupportedOperation
from tfopt.quantization import Scheme, WeightQuantizer
from tfopt.quantization.quantizers.delayed_start import QuantizationDelay


def _built(layer, shape, scheme):
    keras.utils.set_random_seed(0)
    quantizer = WeightQuantizer(layer, scheme)
    quantizer.build((None, *shape))
    quantizer.start_steps()
    return quantizer


@pytest.mark.parametrize(
    ("scheme", "distinct"),
    [
        ("int8", 255), ("int4", 15), (Scheme(weight_bits=3), 7), ("ternary", 3), ("binary", 2),
        (Scheme(weight_bits=2), 3), (Scheme(weight_bits=2, weight_range="lsq"), 3),
    ],
)  # fmt: skip
@pytest.mark.parametrize("per_channel", [True, False])
def test_a_grid_has_so_many_values(scheme, distinct, per_channel):
    scheme = scheme if isinstance(scheme, Scheme) else tfopt.quantization.SCHEMES[scheme]
    config = scheme.get_config() | {"per_channel": per_channel}
    quantizer = _built(L.Dense(3), (4000,), config)
    quantized = quantizer.quantized().numpy()
    kernels = quantized.T if per_channel else [quantized]
    assert all(0.8 * distinct <= len(np.unique(kernel)) <= distinct for kernel in kernels)
    codes = quantizer.quantized_weights()
    steps = np.abs(quantized).max(axis=0) / np.abs(codes.values).max(axis=0)
    np.testing.assert_allclose(codes.values * steps, quantized, rtol=1e-4)


@pytest.mark.parametrize(
    ("layer", "shape", "channels"),
    [
        (lambda: L.Conv3D(4, 2), (3, 3, 3, 2), 4),
        (lambda: L.Conv1DTranspose(4, 3), (8, 2), 4),
        (lambda: L.Conv2DTranspose(4, 3), (8, 8, 2), 4),
        (lambda: L.DepthwiseConv1D(3, depth_multiplier=2), (8, 3), 6),
        (lambda: L.EinsumDense("abc,cde->abde", (None, 2, 3)), (5, 6), 6),
        (lambda: L.EinsumDense("abcd,cde->abe", (None, 7)), (5, 2, 3), 7),
        (lambda: L.Embedding(20, 4), (6,), 20),
    ],
)
def test_each_kind_of_layer_has_its_channels(layer, shape, channels):
    quantizer = _built(layer(), shape, "int4_weights")
    assert quantizer.quantized_weights().values.shape[1] == channels
    x = np.ones((2, *shape), "int32" if len(shape) == 1 else "float32")
    np.testing.assert_allclose(quantizer(x), quantizer.lower()(x), rtol=1e-5)
    assert np.abs(quantizer.quantized_weights().values).max(axis=0).tolist() == [7] * channels


BLOCKS = Scheme(weight_bits=4, activation_bits=None, block_size=32)


def test_each_block_has_a_grid_of_its_own_and_every_weight_a_gradient():
    quantizer = _built(L.Dense(3), (128,), BLOCKS)
    kernel = np.random.default_rng(0).normal(size=(128, 3)) * np.repeat([1, 0.01, 0, 5], 32)[:, np.newaxis]
    quantizer.layer.kernel.assign(kernel)
    steps, codes = quantizer.scales().reshape(4, 1, 3), quantizer.quantized_weights()
    largest = np.abs(kernel).reshape(4, 32, 3).max(axis=1, keepdims=True)
    assert (steps >= largest / 7 - 1e-7).all()
    assert (steps <= largest / 7 * 1.008 + 2**-17).all()
    expected = np.floor(kernel.reshape(4, 32, 3) / steps + 0.5)
    np.testing.assert_array_equal(codes.values, expected.reshape(128, 3))
    np.testing.assert_allclose(quantizer.quantized(), (expected * steps).reshape(128, 3), rtol=1e-6)
    assert codes.block_size == 32
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(quantizer.quantized(training=True))
    np.testing.assert_array_equal(tape.gradient(loss, quantizer.layer.kernel.value), np.ones((128, 3)))


@pytest.mark.parametrize(
    ("layer", "shape", "size"),
    [
        (lambda: L.Dense(3), (64,), 32),
        (lambda: L.Dense(3), (5, 32), 32),
        (lambda: L.Dense(3), (48,), None),
        (lambda: L.Conv2D(3, 1), (4, 4, 32), None),
        (lambda: L.Embedding(64, 32), (6,), None),
    ],
)
def test_what_has_no_blocks_in_litert_has_one_scale_a_channel(layer, shape, size):
    quantizer = _built(layer(), shape, BLOCKS)
    assert quantizer.block_size == quantizer.quantized_weights().block_size == size
    if size is None:
        plain = WeightQuantizer(quantizer.layer, Scheme(weight_bits=4, activation_bits=None))
        np.testing.assert_array_equal(quantizer.quantized(), plain.quantized())


@pytest.mark.parametrize("scheme", ["dynamic", BLOCKS])
def test_before_quantization_begins_inputs_pass_as_they_are(scheme):
    quantizer = _built(L.Dense(3), (32,), scheme)
    x = np.random.default_rng(0).normal(size=(4, 32)).astype("float32")
    quantizer.delay = QuantizationDelay(keras.Variable(0.0, trainable=False))
    np.testing.assert_array_equal(quantizer(x, training=True), quantizer.layer(x))
    quantizer.delay.end()
    np.testing.assert_array_equal(quantizer(x, training=True), quantizer(x))
    # Both roundings: that of the weights is what the bare layer of a file has.
    assert np.abs(quantizer(x) - quantizer.lower()(x)).max() > 1e-4


def test_stochastic_rounding_is_for_training_only_and_has_its_seed():
    scheme = Scheme(weight_bits=3, rounding="stochastic")
    made = [WeightQuantizer(L.Dense(8), scheme, seed=3) for _ in range(2)]
    x = np.eye(16, dtype="float32")
    for quantizer in made:
        quantizer.build((None, 16))
        quantizer.layer.kernel.assign(np.random.default_rng(0).normal(size=(16, 8)))
    steps = [[quantizer(x, training=True).numpy() for _ in range(4)] for quantizer in made]
    np.testing.assert_array_equal(*steps)
    assert not np.array_equal(steps[0][0], steps[0][1])
    np.testing.assert_allclose(made[0](x), made[0].quantized(), atol=1e-6)
    nearest = made[0].quantized().numpy()
    step = np.abs(nearest).max(axis=0) / 3
    assert (np.abs(nearest - made[0].layer.kernel.numpy()) <= step * 0.501).all()


def test_steps_are_trained_and_saved(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((6,)), L.Dense(4, name="dense")])
    scheme = Scheme(weight_bits=4, weight_range="lsq", activation_bits=None)
    quantized = tfopt.quantize_aware(model, scheme)
    dense = quantized.get_layer("dense")
    before = dense.step.numpy()
    kernel = model.get_weights()[0]
    np.testing.assert_allclose(before, 2 * np.abs(kernel).mean(axis=0) / np.sqrt(7), rtol=1e-5)
    quantized.compile(keras.optimizers.SGD(10.0), "mse")  # far enough to overshoot zero
    quantized.fit(np.ones((32, 6)), np.ones((32, 4)), epochs=3, verbose=0)
    assert not np.array_equal(dense.step.numpy(), before)
    assert (dense.step.numpy() > 0).all()
    quantized.save(tmp_path / "m.keras")
    loaded = keras.models.load_model(tmp_path / "m.keras")
    assert loaded.get_layer("dense").scheme == scheme
    np.testing.assert_array_equal(loaded.get_layer("dense").step.numpy(), dense.step.numpy())


def test_rules_give_layers_schemes(small_cnn):
    own = Scheme(weight_bits=3)
    rules = {"sep/*": own, "head": "ternary"}
    quantized = tfopt.quantize_aware(small_cnn(), "int4", rules=rules)
    wrapped = [layer for layer in quantized.layers if isinstance(layer, WeightQuantizer)]
    schemes = {layer.name: layer.scheme for layer in wrapped}
    named = tfopt.quantization.SCHEMES
    assert schemes == {
        "conv1": named["int4"], "sep.depthwise": own, "sep.pointwise": own, "hidden": named["int4"],
        "head": named["ternary"],
    }  # fmt: skip


def test_weights_alone_are_quantized_in_every_layer():
    """No operation needs a rule where activations stay in float; calibration has nothing to do."""

    model = keras.Sequential(
        [
            keras.Input((6, 6, 6, 2)),
            L.Conv3D(4, 3),
            L.Lambda(keras.ops.cos),
            L.GroupNormalization(2),
            L.Dense(2),
        ]
    )
    quantized = tfopt.quantize_aware(model, "int8_weights")
    tfopt.quantization.calibrate(quantized, np.zeros((2, 6, 6, 6, 2)))
    quantizers = [layer for layer in quantized.layers if getattr(layer, "tfopt_quantizer", False)]
    assert [type(layer.layer).__name__ for layer in quantizers] == ["Conv3D", "Dense"]


def test_misuse_is_said_clearly(small_cnn):
    with pytest.raises(UnsupportedOperation, match=r"'norm' .*has no weights"):
        WeightQuantizer(L.BatchNormalization(name="norm")).quantized()
    with pytest.raises(InvalidArgumentError, match="'conv1' is pruned, and weights of 1 bit have no zero"):
        tfopt.quantize_aware(tfopt.prune(small_cnn(), 0.5), "binary")
