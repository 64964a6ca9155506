import keras
import numpy as np
import pytest

import tfopt
from tfopt.errors import ConversionError, InvalidArgumentError
from tfopt.export import TFLiteModel
from tfopt.export.litert_quantizer.quantizer import Entry, needs_samples, quantize_file


def _types(content):
    return {weight.layer: weight.dtype for weight in TFLiteModel(content).summary().weights}


@pytest.fixture(scope="module")
def content(files):
    return bytes(files["float32"])


@pytest.fixture(scope="module")
def samples(digits):
    return [{"image": image[None]} for image in digits.x_train[:64]]


def test_of_several_entries_the_last_that_fits_wins(content):
    entries = [Entry(), Entry(weight_bits=4, operation="FULLY_CONNECTED"), Entry(scope="^conv", mode="float")]
    assert _types(quantize_file(content, entries)) == {"conv": "int8", "head": "int4"}
    entries[2] = Entry(scope="conv", mode="float")
    assert _types(quantize_file(content, entries)) == {"conv": "float32", "head": "int4"}


def test_an_entry_without_a_kernel_leaves_what_the_one_before_says(content):
    # A convolution has no kernel for blocks; both entries are for all operators.
    entries = [Entry(mode="weight_only"), Entry(weight_bits=4, granularity="block_32")]
    assert _types(quantize_file(content, entries)) == {"conv": "int8", "head": "int4"}


def test_ranges_reach_from_the_smallest_to_the_largest_value_of_any_sample(content, samples, digits):
    loud = [{"image": 3 * samples[0]["image"]}, *samples]
    file = TFLiteModel(quantize_file(content, [Entry(mode="static")], samples=loud))
    largest = 3 * digits.x_train[0].max()
    spec = file.inputs[0]
    assert spec.scale * (127 - spec.zero_point) == pytest.approx(largest, rel=0.01)


def test_known_ranges_replace_those_of_the_samples(content, samples):
    entries = [Entry(mode="static")]
    file = TFLiteModel(quantize_file(content, entries, samples=samples, ranges={"image": (-2.0, 2.0)}))
    assert file.inputs[0].scale == pytest.approx(4 / 255, rel=1e-3)


def test_a_tensor_that_is_nearly_zero_gets_a_range_that_litert_can_run():
    inputs = keras.Input((4, 4, 2))
    convolution = keras.layers.Conv2D(3, 3, activation="relu6", kernel_initializer="ones")
    file = bytes(tfopt.to_tflite(keras.Model(inputs, convolution(inputs))))
    name = TFLiteModel(file).inputs[0].name
    samples = [{name: np.full((1, 4, 4, 2), 1e-9, np.float32)}] * 4
    small = TFLiteModel(quantize_file(file, [Entry(mode="static")], samples=samples))
    assert not np.any(small.predict(samples[0][name]) > 1e-4)


@pytest.mark.parametrize("algorithm", ["gptq", "oscar"])
def test_algorithms_that_look_at_data_get_it(algorithm, content, samples):
    entries = [Entry(weight_bits=4, operation="FULLY_CONNECTED", algorithm=algorithm)]
    assert needs_samples(entries)
    first, again, others = (
        quantize_file(content, entries, samples=each) for each in (samples, samples, samples[:5])
    )
    assert first == again
    assert first != others


def test_nothing_is_printed(content, samples, capfd):
    quantize_file(content, [Entry(mode="static")], samples=samples)
    assert "Running" not in capfd.readouterr().err


MISUSE = {
    "mode": lambda: Entry(mode="integer"),
    "bits": lambda: Entry(weight_bits=5),
    "block of 8 bits": lambda: Entry(granularity="block_32"),
    "static block": lambda: Entry(mode="static", weight_bits=4, granularity="block_32"),
    "2 bits, not dynamic": lambda: Entry(mode="weight_only", weight_bits=2),
    "static gptq": lambda: Entry(mode="static", algorithm="gptq"),
    "expression": lambda: Entry(scope="("),
}


@pytest.mark.parametrize("case", MISUSE)
def test_what_no_kernel_takes_is_refused(case):
    with pytest.raises(InvalidArgumentError):
        MISUSE[case]()


def test_what_the_quantizer_refuses_is_said_clearly(content):
    with pytest.raises(InvalidArgumentError, match="must see data"):
        quantize_file(content, [Entry(mode="static")])
    with pytest.raises(ConversionError, match="refused the file: 'DANCE'"):
        quantize_file(content, [Entry(operation="DANCE")])
    with pytest.raises(ConversionError, match="refused the file"):
        quantize_file(content, [Entry(mode="static")], samples=[{"image": np.zeros((1, 3), np.float32)}])
    with pytest.raises(InvalidArgumentError, match="not a TFLite file"):
        quantize_file(b"no file", [Entry()])


def test_a_file_that_cannot_be_calibrated_is_explained():
    layers = keras.layers
    model = keras.Sequential([keras.Input((3, 2)), layers.LSTM(2), layers.Dense(2)])
    x = np.random.default_rng(0).normal(size=(12, 3, 2)).astype(np.float32)
    content, name = bytes(tfopt.to_tflite(model)), model.inputs[0].name
    with pytest.raises(ConversionError, match=r"loops.*engine='keras'.*scheme that quantizes weights alone"):
        quantize_file(content, [Entry(mode="static")], samples=[{name: x[:1]}])
    assert quantize_file(content, [Entry(mode="weight_only")])
    for options in ({"scheme": "int8", "engine": "keras"}, {"scheme": "int8_weights"}):
        file = tfopt.to_tflite(model, representative_dataset=x, **options)
        assert file.verify(model, x, classification=False).passed
