"""A variable that settles after one call may be assigned; one that every call moves may not."""

import keras
import numpy as np
import pytest
from keras import layers as L

import tfopt
from tfopt.errors import UnsupportedOperation
from tfopt.export.keras_graph.assignments import settling


class _Assigns(L.Layer):
    def build(self, shape):
        self.kept = self.add_weight(shape=(shape[-1],), initializer="ones", trainable=False, name="kept")


class Masked(_Assigns):
    """Lays the same mask on its variable in every call."""

    def call(self, x):
        self.kept.assign(self.kept * np.array([1.0, 0.0, 1.0], "float32"))
        return x * self.kept


class Counting(_Assigns):
    def call(self, x):
        self.kept.assign(self.kept + 1.0)
        return x * self.kept


class Following(_Assigns):
    def call(self, x):
        self.kept.assign(keras.ops.mean(x, axis=0))
        return x - self.kept


def of(layer):
    return keras.Sequential([keras.Input((3,)), layer])


@pytest.mark.parametrize(("layer", "settles"), [(Masked, True), (Counting, False), (Following, False)])
def test_what_settles(layer, settles):
    model = of(layer(name="state"))
    assert settling(model, model.layers[0].variables, [(2, 3)]) == settles


def test_what_does_not_is_refused_by_its_layer():
    with pytest.raises(UnsupportedOperation, match="'state' changes a variable when it is called"):
        tfopt.to_tflite(of(Counting(name="state")))
