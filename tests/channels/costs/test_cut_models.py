"""The costs of what is kept are those of the model that is really cut."""

import keras
import numpy as np
import pytest
from keras import layers as L

from tests.at_length import some
from tfopt import measure
from tfopt.channels.costs.model_costs import ModelCosts
from tfopt.channels.cut import cut
from tfopt.channels.dependency import dependencies


def residual():
    inputs = keras.Input((8, 8, 3))
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(8, 3, padding="same", use_bias=False)(inputs)))
    y = L.DepthwiseConv2D(3, padding="same")(L.Conv2D(12, 1)(x))
    x = L.Add()([x, L.Conv2D(8, 1)(y)])
    x = L.Concatenate()([x, L.SeparableConv2D(6, 3, padding="same")(x), L.MaxPooling2D(3, 1, "same")(y)])
    x = L.Conv2DTranspose(6, 2, strides=2)(x)
    return keras.Model(inputs, L.Dense(5)(L.Flatten()(x)))


def squeeze():
    inputs = keras.Input((8, 8, 3))
    x = L.Conv2D(16, 3, activation="relu")(inputs)
    scale = L.Dense(16, activation="sigmoid")(L.Dense(4, activation="relu")(L.GlobalAveragePooling2D()(x)))
    x = L.Multiply()([x, L.Reshape((1, 1, 16))(scale)])
    return keras.Model(inputs, L.Dense(3)(L.GlobalAveragePooling2D()(L.Conv2D(8, 3)(x))))


def transformer():
    inputs = keras.Input((6,), dtype="int32")
    x = L.Embedding(11, 12)(inputs)
    x = L.Add()([x, L.MultiHeadAttention(3, 4)(x, x)])
    x = L.LayerNormalization()(x)
    x = L.Add()([x, L.Dense(12)(L.Dense(20, activation="gelu")(x))])
    return keras.Model(inputs, L.Dense(4)(L.GlobalAveragePooling1D()(L.LayerNormalization()(x))))


def recurrent():
    inputs = keras.Input((5, 7))
    x = L.TimeDistributed(L.Dense(6))(L.LSTM(10, return_sequences=True)(inputs))
    return keras.Model(inputs, L.Dense(2)(L.GRU(8)(x)))


MODELS = {make.__name__: make for make in (residual, squeeze, transformer, recurrent)}


@pytest.mark.parametrize("name", some(MODELS, ["residual", "transformer", "recurrent"]))
def test_random_choices(name):
    found = dependencies(MODELS[name]())
    costs = ModelCosts(found)
    everything = np.ones(found.count, bool)
    assert costs.evaluate(everything)["macs"] == measure.macs(found.model)
    random = np.random.default_rng(0)
    for share in (0.2, 0.5, 0.8):
        keep = random.random(found.count) < share
        for group in found.groups:
            keep[group.units[0]] = True
        smaller, cost = cut(found, keep), costs.evaluate(keep)
        assert (cost["macs"], cost["params"]) == (measure.macs(smaller), smaller.count_params())
        assert cost["params"] < costs.evaluate(everything)["params"]


def test_weights_can_be_limited_where_sizes_are_open():
    inputs = keras.Input((None, None, 3))
    found = dependencies(keras.Model(inputs, L.Conv2D(2, 1)(L.Conv2D(8, 3)(inputs))))
    assert set(ModelCosts(found).evaluate(np.ones(found.count, bool))) == {"params", "bytes"}
