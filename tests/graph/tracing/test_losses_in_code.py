"""The losses that code adds while it is read."""

import keras
import pytest
from keras import ops

from tfopt.graph import adds_losses
from tfopt.graph.tracing.losses_in_code import in_both, may_add_others_in_training, recorded_losses


class Adds(keras.layers.Layer):
    def call(self, x, training=False):
        self.add_loss(ops.sum(x))
        return x


class AddsAlways(keras.layers.Layer):
    def call(self, x):
        self.add_loss(ops.sum(x))
        return x


def test_symbolic_losses_are_recorded_and_keras_gets_none():
    layer, x = Adds(), keras.Input((3,))
    with recorded_losses([layer]) as losses:
        layer.call(x)
    assert len(losses) == 1
    assert isinstance(losses[0], keras.KerasTensor)
    assert layer.losses == []
    assert "add_loss" not in vars(layer)


def test_what_is_no_tensor_is_refused_as_keras_does():
    layer = Adds()
    with recorded_losses([layer]), pytest.raises(ValueError, match=r"takes tensors.*was given 'much'"):
        layer.add_loss("much")


def test_losses_say_when_they_are_added():
    a, b, c = keras.Input(()), keras.Input(()), keras.Input(())
    assert [(each.tensor, each.when) for each in in_both([a, b], [b, c])] == [
        (a, "inference"),
        (b, "always"),
        (c, "training"),
    ]


def test_code_that_adds_losses_is_known_by_what_it_mentions():
    assert adds_losses(Adds())
    assert not adds_losses(keras.layers.Dense(2, activity_regularizer="l2"))
    assert may_add_others_in_training(Adds())
    assert not may_add_others_in_training(AddsAlways())
