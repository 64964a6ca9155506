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


_FILES = ["model.h5", "model.keras", "functional.h5", "functional.keras", "saved"]


@pytest.fixture(scope="module", params=_FILES)
def with_lambda(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("lambda") / request.param
    model = tf_keras.Sequential([tf_keras.Input((3,)), layers.Lambda(lambda x: x + x, name="double")])
    if path.stem != "model":
        model = tf_keras.Model(model.inputs, model.outputs)
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


def _of_several_forms():
    """A model whose config holds what JSON has no form for, and functions that reach nothing."""
    inputs = tf_keras.Input((6, 4))
    x = layers.LeakyReLU(0.1)(inputs)[..., :3]
    x = tf.clip_by_value(x, -1.0, 1.0) + tf.matmul(inputs, tf.ones((4, 3)))
    return tf_keras.Model(inputs, layers.GRU(3, reset_after=False)(x), name="forms")


def _as_keras_2_1(config):
    """Return a config as that version wrote it: without settings that were not there yet."""
    if isinstance(config, list):
        return [_as_keras_2_1(each) for each in config]
    if not isinstance(config, dict):
        return config
    config = {key: _as_keras_2_1(each) for key, each in config.items() if key != "reset_after"}
    name = config.get("class_name")
    if name == "LeakyReLU":
        config["config"]["alpha"] = {"type": "ndarray", "value": config["config"]["alpha"]}
    return config | {"class_name": "Model"} if name == "Functional" else config


def test_files_of_old_versions(tmp_path):
    old = _of_several_forms()
    old.save(tmp_path / "model.h5")
    with h5py.File(tmp_path / "model.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        file.attrs["model_config"] = json.dumps(_as_keras_2_1(config)).encode()
        file.attrs["keras_version"] = "2.1.6-tf"
    x = np.random.default_rng(0).normal(size=(2, 6, 4)).astype("float32")
    np.testing.assert_allclose(tfopt.from_legacy(tmp_path / "model.h5")(x), old(x), atol=1e-5)


def test_the_lambda_of_a_loss_is_not_read(tmp_path):
    old = tf_keras.Sequential([tf_keras.Input((3,)), layers.Dense(2)])
    old.compile("adam", loss=lambda y, p: tf.reduce_mean(tf.abs(y - p)))
    old.save(tmp_path / "model.keras")
    x = np.ones((1, 3), "float32")
    np.testing.assert_allclose(tfopt.from_legacy(tmp_path / "model.keras")(x), old(x), atol=1e-6)


def test_files_that_are_not_of_keras_2_say_what_they_are(tmp_path):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "new.keras")
    model.save(tmp_path / "new.h5")
    model.export(tmp_path / "exported", verbose=False)
    tf_keras.Sequential([tf_keras.Input((3,)), layers.Dense(2)]).save_weights(tmp_path / "weights.h5")
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["keras_version"] = "1.2.2"
    for name, message in {
        "old.h5": "written by Keras 1.2.2.*Keras 2.0 to 2.3",
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
