"""Activations of 16 bits in files of quantization-aware models: of all layers, or by rule."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.export.flatbuffer.fields import operator_name, type_name
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.write import serialize
from tfopt.export.int16.activations import write_int16_activations
from tfopt.export.keras_graph.int16_as_int8 import Int16Spec
from tfopt.export.passes import plan
from tfopt.quantization import Scheme, calibrate

X = np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype("float32")
CONSTANT = np.linspace(-1, 1, 64).reshape(1, 4, 4, 4).astype("float32")


def float_model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    x = L.Conv2D(8, 3, padding="same", activation="relu", name="first")(inputs)
    y = L.Conv2D(8, 3, padding="same", activation="relu", bias_initializer="normal", name="second")(x)
    pooled = L.GlobalAveragePooling2D(keepdims=True, name="mean")(y)
    gate = L.Conv2D(8, 1, activation="sigmoid", bias_initializer="normal", name="gate")(pooled)
    x = L.Add(name="sum")([x, L.Multiply(name="scaled")([y, gate])])
    x = L.Conv2D(4, 1, name="third")(L.MaxPooling2D(name="pool")(x))
    x = L.PReLU(shared_axes=[1, 2], alpha_initializer="uniform", name="slopes")(x + CONSTANT)
    return keras.Model(inputs, L.Dense(5, name="head")(L.Flatten()(x)))


def quantized(scheme, rules=None):
    model = tfopt.quantize_aware(float_model(), scheme, rules=rules)
    calibrate(model, X)
    return model


def types(file):
    """The operators of a file, each with the type of what it writes."""
    model = parse(bytes(file))
    graph = model.subgraphs[0]
    return [(operator_name(model, op), type_name(graph.tensors[op.outputs[0]])) for op in graph.operators]


@pytest.fixture(scope="module")
def whole():
    """The model in 16 bits, its file, and what the file was made from."""
    given = {}

    def kept(file, int16):
        given.update(content=serialize(file.model), int16=int16)
        return write_int16_activations(file, int16)

    model = quantized("int16x8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "write_int16_activations", kept)
        return model, tfopt.to_tflite(model), given


def test_a_file_computes_as_its_model_to_a_few_steps_of_16_bits(whole):
    model, file, _ = whole
    assert {name for name, kind in types(file) if kind != "int16"} == {"DEQUANTIZE", "PRELU"}
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == ("int16", "int16")
    output = file.verify(model, X).outputs[0]
    assert output.max_lsb <= 4
    assert output.snr_db > 75  # 8 bits have about 40
    report = tfopt.debug_quantization(model, file, X[:8])
    assert max(layer.added_max_lsb or 0 for layer in report.layers) <= 2


def test_the_float_model_is_near(whole):
    _, file, _ = whole
    expected = float_model()(X)
    assert np.max(np.abs(file.predict(X) - expected)) < 0.02 * np.max(np.abs(expected))  # 8-bit weights


def test_a_constant_that_is_not_the_models_is_refused(whole):
    given = whole[2]
    stranger = Int16Spec(scales=given["int16"].scales, fixed=given["int16"].fixed)
    with pytest.raises(ConversionError, match=r"changed the constant .* rules="):
        write_int16_activations(ParsedFile(given["content"]), stranger)


def test_a_rule_gives_a_layer_16_bits_between_layers_of_8():
    model = quantized("int8", {"second": "int16x8", "gate": "int16x8"})
    file = tfopt.to_tflite(model)
    assert types(file)[:6] == [
        ("CONV_2D", "int8"),
        ("QUANTIZE", "int16"),
        ("CONV_2D", "int16"),
        ("QUANTIZE", "int8"),
        ("MEAN", "int8"),
        ("QUANTIZE", "int16"),
    ]
    assert ("LOGISTIC", "int16") in types(file)
    assert (file.inputs[0].dtype, file.outputs[0].dtype) == ("int8", "int8")
    assert file.verify(model, X).outputs[0].max_lsb <= 2


@keras.saving.register_keras_serializable(package="test_wide_activations")
class OwnWeights(L.Layer):
    """Products with tensors of its own, of which the converter makes weights and constants."""

    def build(self, shape):
        self.matrix = self.add_weight(shape=(shape[-1], 6), initializer="normal", name="matrix")
        self.ones = self.add_weight(shape=(6,), initializer="ones", name="ones")
        self.halves = self.add_weight(shape=(6,), initializer=keras.initializers.Constant(0.5), name="halves")

    def call(self, x):
        x = keras.ops.matmul(x, self.matrix)
        x = x * keras.ops.reshape(self.ones, (1, 1, 6)) + keras.ops.reshape(self.halves, (1, 1, 6))
        return keras.ops.where(x > 0.5, x, 0.25 + 0.5 * x)  # the same at 0.5


def test_weights_of_a_users_own_have_16_bits_where_they_are_no_kernel():
    inputs = keras.Input((4, 5))
    model = tfopt.quantize_aware(keras.Model(inputs, OwnWeights()(inputs)), "int16x8")
    x = np.random.default_rng(0).normal(size=(16, 4, 5)).astype("float32")
    calibrate(model, x)
    file = tfopt.to_tflite(model)
    assert {name for name, _ in types(file)} == {"FULLY_CONNECTED", "MUL", "ADD", "GREATER", "SELECT"}
    assert {kind for _, kind in types(file)} == {"int16", "bool"}
    assert file.verify(model, x).outputs[0].max_lsb <= 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scheme", "rules"),
    [
        ("int16x8", {"first": "int8"}),
        ("int16x8", {"gate": "int8"}),
        ("int16x8", {"head": "int8"}),
        ("int8", {"sum": "int16x8"}),
        ("int8", {"scaled": "int16x8"}),
        ("int4", {"second": "int16x8"}),
    ],
)
def test_8_and_16_bits_go_together_anywhere(scheme, rules):
    model = quantized(scheme, rules)
    file = tfopt.to_tflite(model)
    assert {"int8", "int16"} <= {kind for _, kind in types(file)}
    output = file.verify(model, X).outputs[0]
    assert output.max_lsb <= 4 or output.snr_db > 40  # an 8-bit step is 256 of 16 bits


@pytest.mark.slow
@pytest.mark.parametrize("rules", [None, {"second": "int8"}])
def test_it_trains_is_saved_and_exported(rules, tmp_path):
    model = quantized("int16x8", rules)
    model.compile(keras.optimizers.SGD(0.05), "mse")
    losses = model.fit(X, np.ones((len(X), 5)), epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    file = tfopt.to_tflite(loaded)
    assert bytes(file) == bytes(tfopt.to_tflite(model))
    floats = tfopt.to_tflite(model, "int16x8", input_type="float32", output_type="float32")
    np.testing.assert_allclose(floats.predict(X), file.predict(X), atol=1e-3)


@pytest.mark.slow
def test_scales_that_are_nearly_powers_of_two_are_no_special_case():
    inputs = keras.Input((6, 4))
    attention = L.MultiHeadAttention(2, 4)
    masked = attention(inputs, inputs, use_causal_mask=True)
    model = tfopt.quantize_aware(keras.Model(inputs, L.Dense(3)(masked)), "int16x8")
    x = np.random.default_rng(0).normal(size=(16, 6, 4)).astype("float32")
    calibrate(model, x)
    assert tfopt.to_tflite(model).verify(model, x).outputs[0].snr_db > 70


@pytest.mark.slow
def test_values_below_the_least_range_of_the_converter_have_16_bits_too():
    inputs = keras.Input((4, 5))
    model = tfopt.quantize_aware(keras.Model(inputs, L.Dense(3)(L.Dense(5, name="small")(inputs))), "int16x8")
    x = np.random.default_rng(0).normal(0, 1e-6, size=(16, 4, 5)).astype("float32")
    calibrate(model, x)
    file = tfopt.to_tflite(model)
    assert {kind for _, kind in types(file)} == {"int16"}
    assert file.verify(model, x).outputs[0].max_lsb <= 2


def test_what_16_bits_exclude_is_refused():
    for fields in ({"weight_bits": 4}, {"activation_range": "lsq"}):
        with pytest.raises(InvalidArgumentError, match="weight_bits=8 and activation_range='observed'"):
            Scheme(activation_bits=16, **fields)
