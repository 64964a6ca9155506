"""A file that LiteRT cannot run is an error that names the operator and the layer; its advice works."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers as L

import tfopt
from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.export import TFLiteModel
from tfopt.export.converter.process import ConverterProcess
from tfopt.export.flatbuffer.fields import operator_name
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.write import serialize
from tfopt.export.runtime.first_run import failure_of, require_run, try_out


def _changed(file, operator, change):
    """Return the file with another tensor of what an operator makes."""
    model = parse(bytes(file))
    graph = model.subgraphs[0]
    found = next(op for op in graph.operators if operator_name(model, op) == operator)
    change(graph.tensors[found.outputs[0]])
    return serialize(model)


def _as_int32(tensor):
    tensor.type = schema.TensorType.INT32


def _very_fine(tensor):
    tensor.quantization.scale = np.array([1e-30], np.float32)


@pytest.fixture(scope="module")
def sum_of_two():
    x = np.random.default_rng(0).normal(size=(32, 6)).astype("float32")
    inputs = keras.Input((6,))
    total = L.Add(name="sum")([L.Dense(4, name="one")(inputs), L.Dense(4, name="other")(inputs)])
    model = tfopt.quantize_aware(keras.Model(inputs, L.Dense(2, name="head")(total)))
    tfopt.quantization.calibrate(model, x)
    return tfopt.to_tflite(model)


def test_a_healthy_file_has_no_failure(files):
    assert all(failure_of(bytes(file)) is None for file in files.values())


@pytest.mark.parametrize(("operator", "layer"), [("MAX_POOL_2D", "pool"), ("FULLY_CONNECTED", "head")])
def test_a_refusal_names_the_first_operator_that_fails(files, operator, layer):
    failure = failure_of(_changed(files["qat"], operator, _as_int32))
    assert (failure.operator, failure.crashed) == (operator, "")
    assert layer in failure.layer


def test_a_crash_names_the_operator_and_the_next_request_is_served(sum_of_two):
    failure = failure_of(_changed(sum_of_two, "ADD", _very_fine))
    assert (failure.operator, failure.layer, failure.crashed) == ("ADD", "sum", "SIGABRT")
    assert failure_of(bytes(sum_of_two)) is None
    assert ConverterProcess._shared.alive


def test_a_file_that_was_read_says_so_when_it_is_used(sum_of_two):
    file = TFLiteModel(_changed(sum_of_two, "ADD", _very_fine))
    with pytest.raises(
        InvalidArgumentError,
        match=r"LiteRT crashed \(SIGABRT\) while running the operator ADD .* 'sum' in a subprocess",
    ):
        file.predict(np.zeros((1, 6), np.float32))
    with pytest.raises(InvalidArgumentError, match="cannot run it: LiteRT crashed"):
        try_out(bytes(file), "it")


def test_the_advice_names_the_layer(files):
    content = _changed(files["qat"], "FULLY_CONNECTED", _as_int32)
    with pytest.raises(ConversionError, match=r"operator FULLY_CONNECTED .*'head'.*Leave it: 'head'\."):
        require_run(content, None, "Leave it: {layer!r}.")


def test_a_sample_is_run_too():
    """Zeros are tokens of any table, and not all samples are."""
    inputs = keras.Input((3,), dtype="int32")
    model = keras.Model(inputs, L.Embedding(5, 2, name="table")(inputs))
    content = bytes(tfopt.to_tflite(model))
    assert failure_of(content, [np.array([[0, 4, 1]], np.int32)]) is None
    assert failure_of(content, [np.array([[0, 9, 1]], np.int32)]).operator == "GATHER"


def _patches():
    class Patches(L.Layer):
        def call(self, x):
            return keras.ops.image.extract_patches(x, size=4)

    inputs = keras.Input((8, 8, 3))
    return keras.Model(
        inputs, L.Dense(3, name="head")(L.Flatten(name="flat")(Patches(name="patches")(inputs)))
    )


def test_what_the_converter_makes_unrunnable_is_refused_and_both_ways_out_work():
    x = np.random.default_rng(0).uniform(size=(64, 8, 8, 3)).astype("float32")
    model = _patches()
    with pytest.raises(
        ConversionError, match=r"CONV_2D .*'patches'.*rules=\{'patches': None\}.*quantize_aware"
    ):
        tfopt.to_tflite(model, "int8", x, engine="converter")
    assert tfopt.to_tflite(model, "int8", x, rules={"patches": None}).verify(model, x).passed
    quantized = tfopt.quantize_aware(model)
    tfopt.quantization.calibrate(quantized, x)
    assert tfopt.to_tflite(quantized).verify(quantized, x).max_lsb <= 1


def test_what_a_trained_range_makes_unrunnable_is_refused_and_the_way_out_works():
    mean, deviation = np.array([0.02, 40000.0], "float32"), np.array([0.001, 20000.0], "float32")
    x = np.random.default_rng(0).normal(size=(64, 2)).astype("float32") * deviation + mean
    inputs = keras.Input((2,))
    layer = L.BatchNormalization(center=False, scale=False, epsilon=0.0, name="norm")
    model = keras.Model(inputs, L.Dense(3, name="head")(layer(inputs)))
    layer.set_weights([mean, deviation**2])

    def quantized(rules=None):
        made = tfopt.quantize_aware(model, rules=rules)
        tfopt.quantization.calibrate(made, x)
        return made

    with pytest.raises(
        ConversionError, match=r"of the layer 'norm'.*quantize_aware\(model, rules=\{'norm': None"
    ):
        tfopt.to_tflite(quantized())
    by_rule = quantized({"norm": None})
    assert tfopt.to_tflite(by_rule).verify(by_rule, x).passed
