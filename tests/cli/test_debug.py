import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from tfopt.cli.main import State, cli
from tfopt.errors import DataError, InvalidArgumentError


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    """A model, a file of it that TensorFlow's own converter wrote, and the folder of both."""
    folder = tmp_path_factory.mktemp("debug")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(10, name="head")(keras.layers.Flatten(name="flat")(x)))
    model.save(folder / "model.keras")
    (folder / "model.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return folder


def _run(folder, *arguments):
    files = (str(folder / "model.keras"), str(folder / "model.tflite"))
    return CliRunner().invoke(cli, ["debug", *files, *map(str, arguments)], obj=State())


def test_debug_prints_a_row_a_layer_of_a_foreign_file(paths):
    done = _run(paths, "digits", "--samples", 5)
    assert done.exit_code == 0
    lines = done.output.splitlines()
    assert sorted(line.split("  ")[0] for line in lines[2:6]) == ["conv", "flat", "head", "image"]
    assert "4 tensors on 5 samples" in done.output


@pytest.mark.parametrize("name", ["image", "anything"])
def test_data_is_one_array_or_one_for_each_input(paths, tmp_path, name):
    np.savez(tmp_path / "data.npz", **{name: np.random.default_rng(0).normal(size=(7, 8, 8, 1))})
    done = _run(paths, tmp_path / "data.npz", "--worst", 1, "--kernels", "reference")
    assert done.exit_code == 0
    assert "4 tensors on 7 samples, kernels: reference" in done.output


def test_what_cannot_be_read_is_named(paths, tmp_path):
    (tmp_path / "data.npz").write_text("no archive")
    assert isinstance(_run(paths, tmp_path / "data.npz").exception, DataError)
    (tmp_path / "model.keras").write_text("no model")
    (tmp_path / "model.tflite").write_bytes((paths / "model.tflite").read_bytes())
    error = _run(tmp_path, "digits").exception
    assert isinstance(error, InvalidArgumentError)
    assert "is no Keras model, or was cut off" in str(error)
