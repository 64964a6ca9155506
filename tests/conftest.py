"""Fixtures that several tests share."""

import gc
from pathlib import Path

import keras
import pytest
import tensorflow as tf

import tfopt
from tests.at_length import mark_rows

# Logical devices can only be made before TensorFlow first uses the CPU, hence at import.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2
)


# What the imports left is never garbage, and tracing makes many small objects that soon go by themselves:
# with Python's own settings the tests spend one second in twenty looking for cycles.
gc.freeze()
gc.set_threshold(50_000, 20, 20)


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the marks in the same hook
def pytest_collection_modifyitems(items):
    """Keep the tests of one file in one process, and of the long contract tables those of one row."""
    mark_rows(items, Path(__file__).parent)
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        row = parameters.get("make", "") if item.path.parent.name == "contracts" else ""
        item.add_marker(pytest.mark.xdist_group(f"{item.path.relative_to(item.config.rootpath)} {row}"))


@pytest.fixture(scope="session")
def digits():
    """The handwritten digits that scikit-learn ships."""
    return tfopt.data.load("digits")


@pytest.fixture(scope="session")
def two_devices():
    """A strategy that replicates over two logical CPU devices; two in one process get in each other's way."""
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


@pytest.fixture
def small_cnn():
    """A factory of small convolutional classifiers with a residual branch: 8x8x1 to 10 classes."""

    def build(width: int = 4, seed: int = 0) -> keras.Model:
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((8, 8, 1), name="image")
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False, name="conv1")(inputs)
        x = keras.layers.BatchNormalization(name="bn1")(x)
        x = keras.layers.ReLU(name="relu1")(x)
        y = keras.layers.SeparableConv2D(width, 3, padding="same", name="sep")(x)
        x = keras.layers.Add(name="add")([x, y])
        x = keras.layers.MaxPooling2D(name="pool")(x)
        x = keras.layers.Flatten(name="flatten")(x)
        x = keras.layers.Dense(16, activation="relu", name="hidden")(x)
        x = keras.layers.Dropout(0.2, name="dropout")(x)
        outputs = keras.layers.Dense(10, activation="softmax", name="head")(x)
        return keras.Model(inputs, outputs, name="small_cnn")

    return build
