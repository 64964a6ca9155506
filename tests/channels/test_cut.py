"""The smaller model computes what the masked one does, and is a model like any other."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L

from tfopt.channels.cut import cut
from tfopt.channels.dependency import dependencies
from tfopt.errors import InvalidArgumentError

_SPEC = importlib.util.spec_from_file_location("equality", Path(__file__).with_name("equality.py"))
equality = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(equality)


def test_a_small_network_is_cut(small_cnn):
    found, keep, smaller = equality.assert_cut_is_masked(small_cnn())
    assert smaller.count_params() < found.model.count_params()
    assert [layer.name for layer in smaller.layers] == [layer.name for layer in found.model.layers]
    conv1 = next(group for group in found.groups if group.name == "conv1")
    assert smaller.get_layer("conv1").filters == keep[conv1.units].sum()


def test_a_bad_choice_is_refused(small_cnn):
    found = dependencies(small_cnn())
    with pytest.raises(InvalidArgumentError, match="a boolean for each"):
        cut(found, np.ones(3, bool))
    keep = np.ones(found.count, bool)
    keep[found.groups[0].units] = False
    with pytest.raises(InvalidArgumentError, match=f"Nothing would be left of {found.groups[0].name}"):
        cut(found, keep)


def test_a_shared_layer_is_cut_once():
    inputs = keras.Input((4,))
    shared = L.Dense(6)
    x = L.Add()([L.Dense(4)(shared(L.Dense(5)(inputs))), L.Dense(4)(shared(L.Dense(5)(inputs)))])
    found, _, smaller = equality.assert_cut_is_masked(keras.Model(inputs, L.Dense(2)(x)))
    assert sum(isinstance(layer, L.Dense) for layer in smaller.layers) == 6
    assert len(found.groups) == 3
