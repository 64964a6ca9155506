import json

import numpy as np
import pytest

import tfopt
from tfopt.errors import InvalidArgumentError
from tfopt.export import compare_files


def test_two_files_of_one_model(files, digits, tmp_path):
    files["float32"].save(tmp_path / "float.tflite")
    found = compare_files(tmp_path / "float.tflite", bytes(files["int8"]), digits.x_test[:50], turns=2)
    assert found.bytes_ratio == pytest.approx(len(files["int8"]) / len(files["float32"]))
    assert found.latency_ratio == found.second_latency.ratio
    assert (found.first.scheme, found.second.scheme) == ("float32", "int8")
    assert found.outputs[0].top1_agreement >= 0.95
    assert (found.samples, found.random) == (50, False)
    json.dumps(found.to_dict())


def test_random_input_fills_the_range_of_an_integer_input(files):
    found = compare_files(files["float32"], files["int8"], turns=1, samples=16)
    assert (found.samples, found.random) == (16, True)
    assert found.outputs[0].max_error < 0.5
    same = compare_files(files["int8"], files["int8"], turns=1)
    assert same.outputs[0].max_lsb == 0


def test_files_of_different_models_have_no_output_in_common(files, digits):
    import keras

    other = tfopt.to_tflite(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]))
    found = compare_files(files["float32"], other, turns=1)
    assert found.outputs == ()
    assert found.samples == 0


def test_misuse(files):
    with pytest.raises(InvalidArgumentError, match="samples must be 1 or more"):
        compare_files(files["int8"], files["int8"], samples=0)
    with pytest.raises(InvalidArgumentError, match="must have the shape"):
        compare_files(files["int8"], files["int8"], np.zeros((1, 3)), turns=1)
