"""Losses that code adds, in the graphs that are read of it."""

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops

from tfopt.graph import as_functional, copy, lower, without_losses


class Own(keras.Model):
    """Calls a function with itself, its input and what it is told of training."""

    def __init__(self, code):
        super().__init__()
        self.code = code
        self.dense, self.dropout = L.Dense(3), L.Dropout(0.5)
        self.seen = self.add_weight(shape=(), initializer="ones", trainable=False)

    def call(self, x, training=None):
        return self.code(self, x, training)


def _functional(code):
    model = Own(code)
    x = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    model(x)
    return model, as_functional(copy(model)), x


def _losses(model, x, training):
    keras.utils.set_random_seed(0)
    model(x, training=training)
    return sorted(float(loss) for loss in model.losses)


def _always(layer, x, _):
    y = layer.dense(x)
    layer.add_loss([ops.mean(y), ops.mean(y**2)])
    return y


def _in_training(layer, x, training):
    y = layer.dense(x)
    if training:
        layer.add_loss(ops.mean(y**2))
    return y


def _another_in_training(layer, x, training):
    y = layer.dense(x)
    layer.add_loss((2.0 if training else 1.0) * ops.mean(y))
    layer.add_loss(ops.mean(y**2))
    return y


def _told_inside(layer, x, training):
    y = layer.dropout(layer.dense(x, training=training), training=training)
    layer.add_loss(ops.mean(y**2) * layer.seen)
    return y


@pytest.mark.parametrize("code", [_always, _in_training, _another_in_training, _told_inside])
@pytest.mark.parametrize("training", [False, True])
def test_a_graph_adds_what_the_code_adds(code, training):
    model, functional, x = _functional(code)
    assert _losses(functional, x, training) == pytest.approx(_losses(model, x, training), rel=1e-5)
    np.testing.assert_allclose(functional(x), model(x), rtol=1e-6)


def test_code_that_is_read_twice_is_in_the_graph_once():
    _, functional, _ = _functional(_another_in_training)
    dense = next(layer for layer in functional.layers if isinstance(layer, L.Dense))
    called = [each for each in functional.operations if type(each).__name__ in ("Dense", "Square", "Power")]
    assert called.count(dense) == 1
    assert len(called) == 2


def test_nothing_is_left_of_them_where_nobody_trains():
    _, functional, x = _functional(_always)
    for without in (lower(functional), without_losses(functional)):
        np.testing.assert_allclose(without(x), functional(x), rtol=1e-6)
        assert without.losses == []
        assert not [each for each in without.operations if type(each).__name__ == "Mean"]


def test_the_model_that_is_read_is_not_changed():
    model, _, x = _functional(_always)
    assert "add_loss" not in vars(model)
    assert len(_losses(model, x, False)) == 2
