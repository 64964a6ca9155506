"""Hooks into the updates of a running fit."""

import keras
import numpy as np
import pytest

from tfopt.callbacks import GradientMonitor
from tfopt.callbacks._core import optimizer_hook
from tfopt.errors import UnsupportedModel


def test_another_keras_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(optimizer_hook, "_PRIVATE", ("_gone",))
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    monitor = GradientMonitor()
    monitor.set_model(model)
    with pytest.raises(UnsupportedModel, match=r"SGD has no _gone.*Keras 3\.15"):
        monitor.on_train_begin()


def test_keras_still_raises_where_replicas_accumulate(two_devices):
    """When it no longer does, `tfopt.optimizers._core.replicated_accumulation` can go."""
    with two_devices.scope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(gradient_accumulation_steps=2), "mse")
    with pytest.raises(RuntimeError, match="merge_call"):
        model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, verbose=0)


def test_does_what_nadam_does_besides():
    """Its method that the hook hides keeps a product of momenta."""

    def trained(*callbacks):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.Nadam(0.1), "mse")
        model.fit(np.eye(2), np.ones((2, 1)), epochs=4, verbose=0, callbacks=list(callbacks))
        return model.get_weights()

    for ours, plain in zip(trained(GradientMonitor()), trained(), strict=True):
        np.testing.assert_array_equal(ours, plain)
