"""`tfopt convert`."""

import keras
import numpy as np
import pytest
import tf_keras

from tfopt.cli.main import main


@pytest.fixture(autouse=True)
def loud(monkeypatch):
    """Keep the command line from quieting TensorFlow in the process of all tests."""
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")


@pytest.fixture
def old(tmp_path):
    inputs = tf_keras.Input((4, 4, 3))
    x = tf_keras.layers.DepthwiseConv2D(3, name="depthwise")(inputs)
    model = tf_keras.Model(inputs, tf_keras.layers.Flatten()(x))
    model.save(tmp_path / "old.h5")
    return model


def _run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([str(each) for each in arguments])
    return stopped.value.code


def test_the_new_file_does_what_the_old_one_did(old, tmp_path, capsys):
    new = tmp_path / "folder" / "new.keras"
    assert _run("convert", tmp_path / "old.h5", new) == 0
    assert capsys.readouterr().out.startswith(f"{new}: 3 layers, 30 parameters")
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
    np.testing.assert_allclose(keras.models.load_model(new)(x), old(x), atol=1e-6)


def test_only_keras_files_are_written(old, tmp_path, capsys):
    assert _run("convert", tmp_path / "old.h5", tmp_path / "new.h5") == 2
    assert "ends in .keras, got 'new.h5'" in capsys.readouterr().err


def test_code_is_refused_without_trust(tmp_path, capsys):
    path = tmp_path / "old.h5"
    tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Lambda(lambda x: x + x, name="twice")]).save(
        path
    )
    assert _run("convert", path, tmp_path / "new.keras") == 1
    assert "Lambda layer 'twice'" in capsys.readouterr().err
    assert not (tmp_path / "new.keras").exists()
    assert _run("convert", path, tmp_path / "new.keras", "--trust") == 0
