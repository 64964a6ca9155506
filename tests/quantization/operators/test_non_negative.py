"""Tensors that are taken for never negative are so, whatever comes in."""

import keras
import numpy as np
from keras import layers as L

from tfopt.graph import nodes
from tfopt.quantization.operators.non_negative import nonnegative_tensors


def test_what_is_taken_for_nonnegative_is_so_and_what_follows_from_it_too():
    inputs = keras.Input((8, 8, 4), name="x")
    signed = L.Conv2D(4, 1, name="signed")(inputs)
    one = L.ReLU(name="relu")(signed)
    two = L.Activation("sigmoid", name="sigmoid")(signed)
    tensors = {
        "relu": one,
        "sigmoid": two,
        "sum": L.Add(name="sum")([one, two]),
        "joined": L.Concatenate(name="joined")([one, two]),
        "mean": L.AveragePooling2D(2, name="mean")(one),
        "padded": L.ZeroPadding2D(name="padded")(two),
        "operator": one * two,
        "leaky": L.ReLU(negative_slope=0.1, name="leaky")(signed),
        "mixed": L.Add(name="mixed")([one, signed]),
        "difference": L.Subtract(name="difference")([one, two]),
        "floor": keras.ops.maximum(one, -1.0) - 1.0,
        "product": one * -2.0,
        "noise": L.GaussianNoise(0.5, name="noise")(one),
        "tanh": L.Activation("tanh", name="tanh")(signed),
    }
    model = keras.Model(inputs, tensors)
    found = nonnegative_tensors(model)
    claimed = {name for name, tensor in tensors.items() if id(tensor) in found}
    assert claimed == {"relu", "sigmoid", "sum", "joined", "mean", "padded", "operator"}
    values = model(np.random.default_rng(0).normal(size=(4, 8, 8, 4)), training=True)
    assert all(np.min(values[name]) >= 0 for name in claimed)
    assert len(nodes(model)) > len(found)
