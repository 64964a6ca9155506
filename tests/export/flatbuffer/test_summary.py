import contextlib
import json

import keras
import numpy as np
import pytest
from ai_edge_litert.tools import flatbuffer_utils

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.export import inspect_file


@pytest.mark.parametrize("kind", ["float32", "float16", "dynamic", "int8"])
def test_the_scheme_is_read_from_the_file(kind, files):
    summary = inspect_file(bytes(files[kind]))
    # A small dense layer stays in float under dynamic range: TFLite quantizes from 1024 weights on.
    assert summary.scheme == ("float32" if kind == "dynamic" and not _quantized(summary) else kind)
    assert summary.bytes == len(files[kind])
    assert summary.compressed_bytes == tfopt.measure.compressed_bytes(bytes(files[kind]))
    json.dumps(summary.to_dict())


def _quantized(summary):
    return any(weight.dtype == "int8" for weight in summary.weights)


def test_inputs_outputs_and_layers_have_the_names_of_the_model(files):
    summary = inspect_file(bytes(files["int8"]))
    assert [spec.name for spec in (*summary.inputs, *summary.outputs)] == ["image", "head"]
    assert {weight.layer for weight in summary.weights} == {"conv", "head"}
    floats = inspect_file(bytes(files["float32"])).float_operators
    assert [each.operator for each in floats][-1] == "SOFTMAX"
    assert floats[-1].layer == "head"
    assert "conv" in floats[0].layer


def test_weights_are_counted(files):
    weights = {each.layer: each for each in inspect_file(bytes(files["int8"])).weights}
    assert weights["conv"].shape == (8, 3, 3, 1)
    assert weights["conv"].bytes == weights["conv"].size == 72
    assert weights["conv"].scales == 8
    floats = {each.layer: each for each in inspect_file(bytes(files["float32"])).weights}
    assert floats["conv"].bytes == 4 * 72
    assert (floats["conv"].scales, floats["conv"].per_channel) == (0, False)


def test_a_file_without_a_signature_goes_by_its_tensors(files):
    model = flatbuffer_utils.read_model_from_bytearray(bytes(files["float32"]))
    model.signatureDefs = None
    stripped = tfopt.TFLiteModel(flatbuffer_utils.convert_object_to_bytearray(model))
    assert [spec.name for spec in stripped.inputs] == ["image"]
    x = np.ones((2, 8, 8, 1), np.float32)
    np.testing.assert_array_equal(stripped.predict(x), files["float32"].predict(x))


def test_random_damage_is_an_error_or_harmless(files):
    content, generator = bytes(files["int8"]), np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(content)
        for position in generator.integers(8, len(content), 4):
            damaged[position] = generator.integers(256)
        with contextlib.suppress(InvalidArgumentError):
            inspect_file(bytes(damaged))


def _mixed(rules, scheme="int8"):
    x = np.random.default_rng(0).normal(size=(32, 8)).astype("float32")
    inputs = keras.Input((8,))
    y = inputs
    for number in range(6):
        y = keras.layers.Dense(6, name=f"dense_{number}")(y)
    model = tfopt.quantize_aware(keras.Model(inputs, y), scheme, rules=rules)
    tfopt.quantization.calibrate(model, x)
    file = tfopt.to_tflite(model)
    assert file.verify(model, x).passed
    return file.summary()


@pytest.mark.parametrize(
    ("rules", "scheme", "expected", "floats"),
    [
        (None, "int8", "int8", []),
        ({"dense_5": None}, "int8", "int8", [5]),
        ({"dense_[1-5]": None}, "int8", "int8", [1, 2, 3, 4, 5]),
        ({"dense_[0-3]": None}, "int8", "int8", [0, 1, 2, 3]),
        ({"dense_[0-1]": "int16x8"}, "int8", "int8", []),
        ({"dense_[0-1]": "int8"}, "int16x8", "int16x8", []),
        (None, "dynamic", "dynamic", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_the_scheme_of_a_mixed_file_is_that_of_most_integers(rules, scheme, expected, floats):
    summary = _mixed(rules, scheme)
    assert summary.scheme == expected
    layers = {layer for each in summary.float_operators for layer in each.layer.split(" + ")}
    assert {each for each in layers if "." not in each} == {f"dense_{number}" for number in floats}
