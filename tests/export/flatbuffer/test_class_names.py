"""The names of the classes are in the file, and no runtime minds them."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.export import TFLiteModel

X = np.random.default_rng(0).normal(size=(64, 6)).astype("float32")


@pytest.fixture(scope="module")
def file():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    return tfopt.to_tflite(keras.Model(inputs, L.Dense(3, activation="softmax")(inputs)), "int8", X)


def test_names_are_read_from_the_file(file, tmp_path):
    names = ("cat", "dog", "Löwe")
    named = file.with_class_names(("a", "b", "c")).with_class_names(names)
    named.save(tmp_path / "model.tflite")
    read = TFLiteModel(tmp_path / "model.tflite")
    assert read.summary().class_names == names
    assert "classes: 0 cat, 1 dog, 2 Löwe" in str(read.summary())
    np.testing.assert_array_equal(read.predict(X), file.predict(X))
    assert len(read) < len(file) + 250


def test_numbers_are_no_names(file):
    assert file.with_class_names(("0", "1", "2")) is file
    assert file.with_class_names(()) is file
    assert file.summary().class_names == ()
    assert "classes" not in str(file.summary())
