import json

import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import DataError, InvalidArgumentError
from tfopt.export.debug.intermediate_tensors import FileTensor
from tfopt.export.debug.match_tensors import Matcher
from tfopt.export.flatbuffer.fields import operator_name
from tfopt.export.flatbuffer.read import parse
from tfopt.export.flatbuffer.write import serialize
from tfopt.export.runtime.verify import MAX_SNR_DB
from tfopt.graph import EvaluatedStep

LAYERS = ("image", "conv + norm + relu", "pool", "flatten + head")


def _changed(file, change):
    """Return a file whose `ModelT` was changed."""
    model = parse(bytes(file))
    change(model, model.subgraphs[0])
    return serialize(model)


def _spoil(model, graph):
    """Turn the sign of the convolution's weights."""
    convolution = next(op for op in graph.operators if operator_name(model, op) == "CONV_2D")
    buffer = model.buffers[graph.tensors[convolution.inputs[1]].buffer]
    buffer.data = (-np.frombuffer(np.asarray(buffer.data, np.uint8).tobytes(), np.int8)).view(np.uint8)


def _rename(_, graph):
    for number, tensor in enumerate(graph.tensors):
        tensor.name = f"t{number}"


@pytest.fixture(scope="module")
def x(digits):
    return digits.x_test[:40]


@pytest.fixture(scope="module")
def sound(quantized, files, x):
    return tfopt.debug_quantization(quantized, files["qat"], x)


def test_a_sound_file_adds_at_most_one_step_anywhere(sound):
    assert [each.layer for each in sound.in_order()][:3] == [*LAYERS[:3]]
    assert sound.in_order()[-1].layer.startswith("head")
    assert sound.share_within(1) == 1.0
    assert not sound.unmatched
    assert all(each.added_max_lsb <= 1 for each in sound.layers)
    assert [each.added_snr_db for each in sound.layers] == sorted(each.added_snr_db for each in sound.layers)


def test_the_report_is_read_by_people_and_programs(sound):
    record = json.loads(json.dumps(sound.to_dict()))
    convolution = next(each for each in record["layers"] if each["operator"] == "CONV_2D")
    assert convolution["layer"] == LAYERS[1]
    assert convolution["dtype"] == "int8"
    assert convolution["step"] > 0
    text = str(sound)
    assert "CONV_2D" in text
    assert "Layer error" in text.splitlines()[0]
    assert "Cumulative error" in text.splitlines()[0]
    assert "100.0% of integer operators: layer error at most 1 LSB" in text


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("kind", ["qat", "int8"])
def test_the_layer_that_parts_comes_first(files, quantized, trained, x, kind, renamed):
    """Of a quantization-aware model and of a float one, with names that tell the layers and without."""
    model = quantized if kind == "qat" else trained
    good = files[kind]
    if renamed:
        good = _changed(good, _rename)
    report = tfopt.debug_quantization(model, _changed(good, _spoil), x)
    worst, *others = report.layers
    assert worst.layer == LAYERS[1]
    assert worst.added_snr_db < 5
    assert min(each.added_snr_db for each in others) > 20
    end = report.in_order()[-1]
    assert end.snr_db < 10  # inherited
    healthy = tfopt.debug_quantization(model, good, x)
    assert min(each.added_snr_db for each in healthy.layers) > 20
    assert {each.operator for each in healthy.layers} >= {"INPUT", "CONV_2D", "MAX_POOL_2D"}


def test_a_float_file_is_equal_in_every_layer(files, trained, x):
    report = tfopt.debug_quantization(trained, files["float32"], x)
    assert min(each.snr_db for each in report.layers) > 100
    assert {each.max_lsb for each in report.layers} == {None}
    assert report.share_within(1) is None


@pytest.mark.parametrize("kernels", ["builtin", "reference"])
def test_other_kernels(files, quantized, x, kernels):
    report = tfopt.debug_quantization(quantized, bytes(files["qat"]), x[:8], kernels=kernels)
    assert (report.kernels, report.samples) == (kernels, 8)
    assert report.share_within(1) == 1.0


def test_a_path_and_several_samples_a_call(trained, x, tmp_path):
    tfopt.to_tflite(trained, batch_size=3).save(tmp_path / "model.tflite")
    report = tfopt.debug_quantization(trained, tmp_path / "model.tflite", x[:10])
    assert report.samples == 10
    assert min(each.snr_db for each in report.layers) > 100


def test_inputs_are_found_by_name_in_any_order():
    keras.utils.set_random_seed(0)
    wide, small = keras.Input((6,), name="z"), keras.Input((6,), name="a")
    joined = keras.layers.Concatenate()([keras.layers.Dense(3)(wide), keras.layers.Dense(2)(small)])
    model = keras.Model([wide, small], [keras.layers.Dense(4)(joined), keras.layers.ReLU()(joined)])
    file = tfopt.to_tflite(model)

    def swap(_, graph):
        graph.inputs = graph.inputs[::-1]

    rng = np.random.default_rng(0)
    data = {name: rng.normal(size=(5, 6)).astype("float32") for name in ("a", "z")}
    changed = parse(_changed(file, swap))
    changed.signatureDefs[0].inputs.reverse()
    for content in (bytes(file), serialize(changed)):
        report = tfopt.debug_quantization(model, content, data)
        assert min(each.snr_db for each in report.layers) > 100


def test_a_layer_that_answers_nan_is_the_worst(files, trained, x):
    def spoil(model, graph):
        convolution = next(op for op in graph.operators if operator_name(model, op) == "CONV_2D")
        buffer = model.buffers[graph.tensors[convolution.inputs[2]].buffer]
        buffer.data = np.full(len(buffer.data) // 4, np.nan, np.float32).view(np.uint8)

    worst = tfopt.debug_quantization(trained, _changed(files["float32"], spoil), x).layers[0]
    assert worst.layer == LAYERS[1]
    assert worst.added_snr_db == -MAX_SNR_DB


@pytest.mark.parametrize("size", [7 * 7 * 64, 7 * 7 * 192])
def test_tensors_of_other_sizes_are_never_matched(size):
    # Of both sizes as many values are compared.
    steps = [EvaluatedStep(0, "image", None, ()), EvaluatedStep(1, "conv", None, (0,))]
    matcher = Matcher(steps, {0: np.ones((1, 4)), 1: np.zeros((1, 7 * 7 * 64))})
    tensor = FileTensor(9, 0, "unnamed", "CONV_2D", "float32", (1, size), None, None)
    assert matcher.guess(tensor, np.zeros((1, size)), [0], set()) == (1 if size == 7 * 7 * 64 else None)


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (lambda x: x[:0], DataError, "at least one sample"),
        (lambda x: x * np.nan, DataError, "NaN or infinity"),
        (lambda x: x[:, :4], InvalidArgumentError, r"must have the shape \(samples, 8, 8, 1\)"),
        (lambda x: np.float32(1), InvalidArgumentError, "must have the shape"),
        (lambda x: x.astype(str), InvalidArgumentError, "must be numbers"),
        (lambda x: [x, x], InvalidArgumentError, "one array for each of 'image'"),
    ],
)
def test_unusable_data(files, quantized, x, change, error, said):
    with pytest.raises(error, match=said):
        tfopt.debug_quantization(quantized, files["qat"], change(x))


def test_unusable_files(files, quantized, x):
    with pytest.raises(InvalidArgumentError, match="damaged TFLite file"):
        tfopt.debug_quantization(quantized, bytes(files["qat"])[:-200], x)
    with pytest.raises(InvalidArgumentError, match="kernels"):
        tfopt.debug_quantization(quantized, files["qat"], x, kernels="fast")
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    with pytest.raises(InvalidArgumentError, match="Give the model that the file was made from"):
        tfopt.debug_quantization(other, files["qat"], np.zeros((1, 4)))
    other = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3)])
    with pytest.raises(InvalidArgumentError, match="No output of the model has the size"):
        tfopt.debug_quantization(other, files["qat"], x)
