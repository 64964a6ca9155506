"""Embeddings in integers, in files of weights alone."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.export.flatbuffer.file import ParsedFile
from tfopt.export.flatbuffer.read import parse
from tfopt.export.litert_quantizer.embeddings import quantize_embeddings
from tfopt.export.passes.run import Pass, run_passes

ROWS, SIZE = 300, 16
TOKENS = np.random.default_rng(0).integers(0, ROWS, (16, 8)).astype("int32")


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(0)
    tokens = keras.Input((8,), dtype="int32")
    x = L.Embedding(ROWS, SIZE, name="table")(tokens)
    return keras.Model(tokens, L.Dense(3, name="head")(L.GlobalAveragePooling1D()(x)))


@pytest.fixture(scope="module")
def in_float(model):
    return bytes(tfopt.to_tflite(model))


def _quantized(content, settings, default, *, per_channel):
    file = ParsedFile(content)
    run_passes(file, [Pass.of(quantize_embeddings, settings, default, per_channel=per_channel)])
    return file.serialize()


def _largest_constant(content):
    file = parse(content)
    return max(len(buffer.data) for buffer in file.buffers if buffer.data is not None)


@pytest.mark.parametrize(("scheme", "bits", "snr"), [("int8_weights", 8, 40), ("int4_weights", 4, 15)])
def test_a_table_has_the_bits_of_its_scheme_and_a_scale_a_row(model, in_float, scheme, bits, snr):
    made = _quantized(in_float, {"table": scheme}, "float32", per_channel=True)
    assert _largest_constant(made) == ROWS * SIZE * bits // 8
    assert tfopt.export.TFLiteModel(made).verify(model, TOKENS).outputs[0].snr_db > snr
    one_scale = _quantized(in_float, {"table": scheme}, "float32", per_channel=False)
    assert len(one_scale) < len(made) - 4 * (ROWS - 1)


@pytest.mark.parametrize("scheme", ["float32", "int8"])
def test_others_stay_as_they_are(in_float, scheme):
    assert _quantized(in_float, {"table": scheme}, "int8_weights", per_channel=True) == in_float


@pytest.mark.slow
def test_to_tflite_writes_them_and_rules_leave_them_out(model, in_float):
    whole = bytes(tfopt.to_tflite(model, "int8_weights"))
    assert len(whole) < 0.6 * len(in_float)
    assert _largest_constant(bytes(tfopt.to_tflite(model, "int8_weights", rules={"table": None}))) == (
        ROWS * SIZE * 4
    )
    assert _largest_constant(bytes(tfopt.to_tflite(model, rules={"table": "int4_weights"}))) == (
        ROWS * SIZE // 2
    )
