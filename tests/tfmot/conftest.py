"""A model that both engines take."""

import keras
import pytest


def _build(seed: int = 0, **settings) -> keras.Model:
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False, name="conv1", **settings)(inputs)
    x = keras.layers.BatchNormalization(name="bn1")(x)
    x = keras.layers.ReLU(name="relu1")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu", name="conv2")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(inputs, keras.layers.Dense(10, name="head")(x), name="cnn")


@pytest.fixture(scope="session")
def cnn():
    """A factory of small classifiers that return logits; keyword arguments go to the first layer."""
    return _build


@pytest.fixture(scope="session")
def logits_loss():
    """The loss for them."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="session")
def some_digits(digits):
    """A few images and their classes."""
    return digits.x_train[:256], digits.y_train[:256]
