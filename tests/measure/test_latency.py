import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import tfopt
from tfopt import measure
from tfopt.errors import InvalidArgumentError


@pytest.fixture(scope="module")
def contents():
    def dense(units):
        return keras.Sequential([keras.Input((units,)), keras.layers.Dense(units), keras.layers.Dense(units)])

    return {"small": bytes(tfopt.to_tflite(dense(16))), "large": bytes(tfopt.to_tflite(dense(1024)))}


def test_files_are_measured_against_the_first(contents):
    found = measure.latency(contents, turns=5, warmup=1)
    assert list(found) == ["small", "large"]
    assert found["small"].ratio == 1.0
    # 4096 times the multiplications: no load of the machine turns that round.
    assert found["large"].ratio > 5
    for each in found.values():
        assert 0 < each.low_seconds <= each.median_seconds <= each.high_seconds
        assert each.calls >= 5
    json.dumps(found["large"].to_dict())


def test_order_decides_what_is_the_baseline(contents):
    found = measure.latency(dict(reversed(contents.items())), turns=5, warmup=1)
    assert found["small"].ratio < 0.2


def test_integer_inputs_are_fed(contents):
    inputs = keras.Input((4,), dtype="int32")
    model = keras.Model(inputs, keras.layers.Embedding(3, 2)(inputs))
    dense = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    int8 = tfopt.to_tflite(dense, "int8", np.random.default_rng(0).random((9, 8), np.float32))
    found = measure.latency({"embedding": bytes(tfopt.to_tflite(model)), "int8": bytes(int8)}, turns=1)
    assert len(found) == 2


def test_a_file_of_an_open_batch_runs_on_one_sample(contents):
    dense = keras.Sequential([keras.Input((8,)), keras.layers.Dense(2)])
    theirs = tf.lite.TFLiteConverter.from_keras_model(dense).convert()
    (details,) = Interpreter(model_content=theirs).get_input_details()
    assert list(details["shape_signature"]) == [-1, 8]
    assert measure.latency({"theirs": theirs, "ours": contents["small"]}, turns=1)["ours"].ratio > 0


def test_misuse_is_said_clearly(contents):
    with pytest.raises(InvalidArgumentError, match="at least one file"):
        measure.latency({})
    with pytest.raises(InvalidArgumentError, match="turns and warmup"):
        measure.latency(contents, turns=0)
    with pytest.raises(InvalidArgumentError, match="cannot run the file 'broken'"):
        measure.latency({"broken": contents["small"][:100]})
