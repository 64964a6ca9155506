"""Operators that round their inputs while the file runs: integers, scales and outputs as in training."""

import dataclasses

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers as L

import tfopt
from tfopt.export.flatbuffer.fields import text
from tfopt.export.flatbuffer.read import parse
from tfopt.quantization import SCHEMES, Scheme, WeightQuantizer, calibrate

X = np.random.default_rng(0).normal(0.2, 1.0, size=(96, 8, 8, 3)).astype("float32")
COMPUTING = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}


def _model():
    """One layer of each kind whose operator rounds its inputs; most are too small for the converter."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    x = L.Conv2D(6, 3, use_bias=False, name="conv")(inputs)
    x = L.ReLU()(L.BatchNormalization(name="norm")(x))
    x = L.DepthwiseConv2D(3, bias_initializer="normal", name="depthwise")(x)
    x = L.Conv2D(8, 1, activation="relu", name="pointwise")(x)
    x = L.Conv2DTranspose(4, 2, strides=2, name="up")(x)
    x = L.Dense(32, name="pixels")(x)
    x = L.Dense(64, activation="relu", bias_initializer="normal", name="hidden")(L.Flatten()(x))
    model = keras.Model(inputs, L.Dense(5, name="head")(x))
    rng = np.random.default_rng(0)
    norm = model.get_layer("norm")
    norm.set_weights([rng.normal(size=6), rng.normal(size=6), rng.normal(size=6), rng.uniform(0.5, 2, 6)])
    return model


@pytest.fixture(scope="module")
def made():
    """Scheme -> (model, file)."""
    models = {name: tfopt.quantize_aware(_model(), name) for name in ("dynamic", "int4_weights")}
    return {name: (model, tfopt.to_tflite(model)) for name, model in models.items()}


def _weights(file):
    """Return layer -> (integers as columns, scales `(blocks, channels)`) of the integer weights of a file."""
    model = parse(bytes(file))
    graph = model.subgraphs[0]
    found = {}
    for tensor in graph.tensors:
        data = model.buffers[tensor.buffer].data
        bits = {schema.TensorType.INT8: 8, schema.TensorType.INT4: 4}.get(tensor.type)
        if data is None or len(data) == 0 or bits is None or len(tensor.shape) < 2:
            continue
        data = np.asarray(data, np.uint8)
        values = np.stack([data >> shift & (2**bits - 1) for shift in range(0, 8, bits)], axis=-1).ravel()
        values = np.where(values >= 2 ** (bits - 1), values.astype(int) - 2**bits, values.astype(int))
        channels_last = tensor.quantization.quantizedDimension == len(tensor.shape) - 1
        values = values[: np.prod(tensor.shape)].reshape(tensor.shape)
        rows = values.reshape(-1, tensor.shape[-1]) if channels_last else values.reshape(len(values), -1).T
        details = tensor.quantization.details
        if details is None:
            scales = np.reshape(tensor.quantization.scale, (1, -1))
        else:
            kept = graph.tensors[details.scales]
            assert rows.shape[0] == kept.shape[1] * details.blockSize
            scales = np.frombuffer(bytes(bytearray(model.buffers[kept.buffer].data)), np.float16)
            scales = scales.reshape(kept.shape).T
        found[text(tensor.name).split(":")[0]] = rows, scales
    return found


@pytest.mark.parametrize("name", ["dynamic", "int4_weights"])
def test_the_file_does_what_the_model_does(made, name):
    model, file = made[name]
    got = file.verify(model, X).outputs[0]
    assert got.top1_agreement == 1
    assert got.snr_db > 50
    # Where no input is next to the middle between two integers, nothing but float32 rounding is left.
    errors = np.abs(file.predict(X) - model.predict(X, verbose=0)).max(axis=1)
    assert np.median(errors) < 1e-5 * np.abs(file.predict(X)).max()
    without = file.verify(_model(), X).outputs[0]
    assert without.snr_db < 45, "rounding shows, so the test can fail"


@pytest.mark.parametrize("name", ["dynamic", "int4_weights"])
def test_the_file_holds_the_integers_and_scales_of_the_model(made, name):
    model, file = made[name]
    found = _weights(file)
    layers = [layer for layer in model.layers if isinstance(layer, WeightQuantizer)]
    assert found.keys() == {layer.name for layer in layers}
    for layer in layers:
        rows, scales = found[layer.name]
        codes = layer.quantized_weights()
        if layer.name == "conv":  # a normalization has scaled its channels and turned some signs
            np.testing.assert_array_equal(np.abs(rows), np.abs(codes.values))
            continue
        np.testing.assert_array_equal(rows, codes.values)
        exact = 0 if codes.block_size else 1e-6
        np.testing.assert_allclose(scales.ravel(), layer.scales(), rtol=exact)
    blocks = {
        layer.name: layer.quantized_weights().block_size
        for layer in layers
        if layer.quantized_weights().block_size
    }
    assert blocks == ({} if name == "dynamic" else {"hidden": 32, "head": 32})


def test_the_operators_read_the_integers_themselves(made):
    _, file = made["dynamic"]
    operators = {each.name: set(each.types) for each in file.summary().operators}
    assert operators.keys() >= COMPUTING
    assert all(operators[name] == {"float32", "int8"} for name in COMPUTING)
    assert "DEQUANTIZE" not in operators
    assert file.summary().scheme == "dynamic"


def test_a_model_trained_for_it_is_written_as_it_and_others_are_converted(made):
    model, file = made["dynamic"]
    assert bytes(tfopt.to_tflite(model, "dynamic")) == bytes(file)
    weights, _ = made["int4_weights"]
    assert tfopt.to_tflite(weights, "dynamic").summary().scheme == "dynamic"


@pytest.mark.slow
def test_a_normalization_behind_blocks_becomes_part_of_their_scales():
    """They are rounded to eight binary digits again, which is where the file leaves the model."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((64,))
    x = L.BatchNormalization(gamma_initializer="normal")(L.Dense(32, name="hidden")(inputs))
    quantized = tfopt.quantize_aware(
        keras.Model(inputs, L.Dense(3, name="head")(L.ReLU()(x))), "int4_weights"
    )
    x = np.random.default_rng(0).normal(size=(64, 64)).astype("float32")
    file = tfopt.to_tflite(quantized)
    assert file.verify(quantized, x).snr_db > 45
    assert not any(each.name in ("MUL", "ADD") for each in file.summary().operators)


@pytest.mark.slow
@pytest.mark.parametrize("use_bias", [True, False])
def test_a_factor_too_small_for_scales_of_blocks_stays_an_operator(use_bias):
    """ConvNeXt multiplies by 1e-6 at first, and float16, in which the scales are, ends at 6e-8."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 64))
    x = L.Dense(64, use_bias=use_bias, bias_initializer="normal", name="hidden")(inputs)
    x = L.ReLU()(L.BatchNormalization(gamma_initializer=keras.initializers.Constant(1e-6), name="norm")(x))
    quantized = tfopt.quantize_aware(keras.Model(inputs, L.Dense(3, name="head")(x)), "int4_weights")
    x = np.random.default_rng(0).normal(size=(32, 6, 64)).astype("float32")
    file = tfopt.to_tflite(quantized)
    assert file.verify(quantized, x).snr_db > 60
    found = _weights(file)  # the names of the weights tell of a layer that is fused
    rows, scales = next(held for layer, held in found.items() if layer != "head")
    codes = quantized.get_layer("hidden").quantized_weights()
    np.testing.assert_array_equal(rows, codes.values)
    np.testing.assert_array_equal(scales, codes.block_scales)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("default", "rules"),
    [
        ("dynamic", {"head": None, "conv": "int8_weights", "hidden": "int4_weights", "up": "int8_weights"}),
        ("dynamic", {"conv": "int8", "norm": "int8"}),
        ("int8", {"hidden/relu": None, "hidden": "int4_weights", "head": "dynamic"}),
        (Scheme(weight_bits=4, activation_bits=None, dynamic=True), {"conv": "dynamic"}),
        (dataclasses.replace(SCHEMES["int4_weights"], block_size=64, weight_range="lsq"), {}),
        (Scheme(weight_bits=2, weight_range="mean", activation_bits=None, dynamic=True), {}),
        (Scheme(per_channel=False, activation_bits=None, dynamic=True), {}),
    ],
)
def test_layers_of_several_schemes_in_one_file(default, rules):
    quantized = tfopt.quantize_aware(_model(), default, rules=rules)
    calibrate(quantized, X)
    file = tfopt.to_tflite(quantized)
    errors = np.abs(file.predict(X) - quantized.predict(X, verbose=0)).max(axis=1)
    assert np.median(errors) < 1e-3 * np.abs(file.predict(X)).max()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["dynamic", "int4_weights"])
def test_zeros_and_clusters_are_in_the_file(scheme):
    model = tfopt.prune(_model(), 0.5)
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            kernel = layer.kernel.numpy()
            levels = np.float32([-0.4, -0.1, 0.2, 0.3])
            nearest = levels[np.abs(kernel[..., np.newaxis] - levels).argmin(axis=-1)]
            layer.kernel.assign(np.where(kernel == 0, 0, nearest))
    for preserve in ("sparsity", ("sparsity", "clusters")):
        quantized = tfopt.quantize_aware(model, scheme, preserve=preserve)
        quantized.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        quantized.fit(X, np.arange(96) % 5, batch_size=48, verbose=0)
        for layer, (rows, _) in _weights(tfopt.to_tflite(quantized)).items():
            zeros = np.mean(model.get_layer(layer).get_weights()[0] == 0)  # none where a rule must name it
            assert layer == "depthwise" or zeros >= 0.45
            assert np.mean(rows == 0) >= zeros - 2 / rows.size, layer
            if "clusters" in preserve:
                assert len(np.unique(np.abs(rows) if layer == "conv" else rows)) <= 5


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["dynamic", "int8_weights"])
def test_where_all_scores_are_masked_the_file_averages_as_the_model_does(scheme):
    keras.utils.set_random_seed(0)
    inputs, mask = keras.Input((5, 8)), keras.Input((5, 5), dtype="bool")
    x = L.MultiHeadAttention(2, 4)(inputs, inputs, attention_mask=mask)
    quantized = tfopt.quantize_aware(keras.Model([inputs, mask], L.Dense(3)(x)), scheme)
    kept = np.random.default_rng(0).random((32, 5, 5)) < 0.4
    assert not kept.any(axis=-1).all()
    data = [np.random.default_rng(1).normal(size=(32, 5, 8)).astype("float32"), kept]
    assert tfopt.to_tflite(quantized).verify(quantized, data).snr_db > 60


def test_a_step_of_a_single_sample_is_the_same_alone_and_in_a_batch(made):
    """A range is of a sample, never of what else is in the batch."""
    model, _ = made["dynamic"]
    together = model.predict(X[:8], verbose=0)
    alone = np.concatenate([model.predict(X[i : i + 1], verbose=0) for i in range(8)])
    np.testing.assert_allclose(alone, together, atol=1e-5)
