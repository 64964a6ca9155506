"""Equations with blanks and capitals in the code of users' layers."""

import keras
import numpy as np
import pytest
from keras import ops

from tfopt import graph
from tfopt.graph.functions.einsum_in_code import in_small_letters
from tfopt.quantization.canonicalize.canonicalize import canonical

X = np.random.default_rng(0).normal(size=(3, 4, 4, 8)).astype("float32")


def _helper(x):
    return ops.einsum("bhwc, bHWc -> bhwHW", x, x)


class ByModule(keras.layers.Layer):
    def call(self, x):
        return keras.ops.einsum("bhwc, bHWc->bhwHW", x, x)


class ByHelper(keras.layers.Layer):
    def call(self, x):
        return _helper(x)


class ByMethod(keras.layers.Layer):
    def call(self, x):
        return self.scores(x, x)

    def scores(self, x, y):
        return ops.einsum("... i C, ... j C -> ... i j", x, y)


class ByClosure(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.product = lambda x: ops.einsum("B H W C, B H w C", x, x)

    def call(self, x):
        return self.product(x)


@pytest.mark.parametrize("make", [ByModule, ByHelper, ByMethod, ByClosure])
def test_code_is_read_whatever_its_equation_looks_like(make):
    inputs = keras.Input(X.shape[1:])
    layer = make()
    model = keras.Model(inputs, layer(inputs))
    before = dict(vars(layer))
    plain, _ = canonical(graph.as_functional(graph.copy(model)))
    np.testing.assert_allclose(plain.predict(X, verbose=0), model.predict(X, verbose=0), rtol=1e-5, atol=1e-5)
    assert not any(type(each) is make for each in plain.layers)
    assert {name: vars(layer)[name] for name in before} == before


@pytest.mark.parametrize("equation", ["Bi, jB", "ij,jK", "b h w C, b H W C -> b h H", "...I,...I->..."])
def test_small_letters_mean_the_same(equation):
    rng = np.random.default_rng(0)
    ranks = [sum(each.isalpha() for each in part) for part in equation.split("->")[0].split(",")]
    operands = [rng.normal(size=(2,) * (rank + ("..." in equation))) for rank in ranks]
    expected = np.einsum(equation, *operands)
    np.testing.assert_allclose(np.einsum(in_small_letters(equation), *operands), expected)
