"""Which layer a variable belongs to."""

import keras
import numpy as np

from tfopt.callbacks._core.variables import layer_paths, replicated


def test_paths_go_into_nested_models_and_a_shared_layer_keeps_its_first():
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="dense")], name="inner")
    inputs = keras.Input((2,))
    shared = keras.layers.Dense(2, name="shared")
    model = keras.Model(inputs, shared(inner(shared(inputs))))
    paths = layer_paths(model)
    assert [paths[id(v)] for v in inner.trainable_variables] == ["inner/dense"] * 2
    assert [paths[id(v)] for v in shared.trainable_variables] == ["shared"] * 2
    assert len(paths) == 4


def test_a_variable_holds_numbers_of_any_shape():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    variable = replicated(model, "sums", [[1, 2], [3, 4]])
    assert variable.dtype == "float32"
    np.testing.assert_array_equal(variable.numpy(), [[1, 2], [3, 4]])
