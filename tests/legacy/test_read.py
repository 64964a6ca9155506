"""Files of Keras 2: what is read, and what is refused before anything of it runs."""

import json

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from tf_keras import layers

import tfopt
from tfopt.errors import UnsupportedModel


def _twice(x):
    return x * 2.0


@pytest.fixture(scope="module", params=["model.h5", "model.keras"])
def with_lambda(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("lambda") / request.param
    model = tf_keras.Sequential([tf_keras.Input((3,)), layers.Lambda(lambda x: x + x, name="double")])
    model.save(path)
    return path


def test_a_lambda_is_refused_with_the_reason(with_lambda):
    with pytest.raises(
        UnsupportedModel, match=r"'double', whose function is Python bytecode.*safe_mode=False"
    ):
        tfopt.from_legacy(with_lambda)


def test_a_lambda_of_a_trusted_file_is_read(with_lambda):
    model = tfopt.from_legacy(with_lambda, safe_mode=False)
    np.testing.assert_array_equal(model(np.ones((1, 3))), [[2, 2, 2]])


def test_a_function_can_be_given_in_the_place_of_the_code(with_lambda):
    model = tfopt.from_legacy(with_lambda, custom_objects={"double": _twice})
    assert model.get_layer("double").function is _twice
    np.testing.assert_array_equal(model(np.ones((1, 3))), [[2, 2, 2]])


def test_a_lambda_of_a_model_in_memory_is_code_already_loaded():
    model = tf_keras.Sequential([tf_keras.Input((3,)), layers.Lambda(_twice)])
    np.testing.assert_array_equal(tfopt.from_legacy(model)(np.ones((1, 3))), [[2, 2, 2]])


def _with_config(path, change):
    """Write a model whose config was tampered with."""
    inputs = tf_keras.Input((3,))
    tf_keras.Model(inputs, layers.Dense(2, name="dense")(tf.nn.relu(inputs))).save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        change(config["config"]["layers"])
        file.attrs["model_config"] = json.dumps(config)


def test_functions_that_reach_out_of_the_model_are_refused(tmp_path):
    path = tmp_path / "model.h5"
    _with_config(path, lambda made: made[1]["config"].update(function="io.write_file"))
    with pytest.raises(UnsupportedModel, match=r"'tf.nn.relu', which calls tf.io.write_file"):
        tfopt.from_legacy(path)


def test_modules_other_than_kerass_are_not_imported(tmp_path):
    path = tmp_path / "model.h5"
    evil = {"module": "os", "class_name": "function", "config": "system", "registered_name": "function"}
    _with_config(path, lambda made: made[2]["config"].update(activation=evil))
    with pytest.raises(UnsupportedModel, match="names 'function' of the Python module 'os'"):
        tfopt.from_legacy(path)


def test_files_that_are_not_of_keras_2_say_what_they_are(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "new.keras")
    model.save(tmp_path / "new.h5")
    model.export(tmp_path / "exported", verbose=False)
    tf_keras.Sequential([tf_keras.Input((3,)), layers.Dense(2)]).save_weights(tmp_path / "weights.h5")
    for name, message in {
        "new.keras": "written by Keras 3.*keras.models.load_model",
        "new.h5": "written by Keras 3.*keras.models.load_model",
        "exported": "exported, not saved.*TFSMLayer",
        "weights.h5": r"weights alone.*load_weights\('weights.h5'\)",
    }.items():
        with pytest.raises(tfopt.errors.InvalidArgumentError, match=message):
            tfopt.from_legacy(tmp_path / name)


def test_the_layer_for_functions_of_tensorflow_calls_none_that_reach_out():
    with pytest.raises(tfopt.errors.InvalidArgumentError, match=r"tf.io.write_file, which can reach out"):
        tfopt.legacy.TensorFlowFunction("io.write_file", [["path"], {}])
