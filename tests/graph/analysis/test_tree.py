"""The layers of any model, with their paths."""

import keras

from tfopt.graph import tree


class Block(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.second = keras.layers.Dense(2, name="second")
        self.first = keras.layers.Dense(2, name="first")

    def call(self, x):
        return self.second(self.first(x))


class Wrapper(keras.layers.Wrapper):
    tfopt_wrapper = True

    def call(self, x):
        return self.layer(x)


def test_paths_are_those_of_the_layers_around():
    inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="head")], name="inner")
    inputs = keras.Input((3,), name="x")
    model = keras.Model(inputs, Block(name="block")(inner(inputs)))
    paths = [path for path, layer in tree(model) if not isinstance(layer, keras.layers.InputLayer)]
    assert paths == ["", "inner", "inner/head", "block", "block/second", "block/first"]


def test_a_shared_layer_comes_once_and_wrappers_are_left_out():
    dense = keras.layers.Dense(3, name="dense")
    inputs = keras.Input((3,))
    model = keras.Model(inputs, Wrapper(dense, name="around")(dense(inputs)))
    assert [layer for _, layer in tree(model)].count(dense) == 1
    assert not [layer for _, layer in tree(model) if isinstance(layer, Wrapper)]
