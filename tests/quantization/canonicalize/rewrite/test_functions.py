"""Functions in float, the index of the largest, and the masked softmax."""

import numpy as np
import pytest
from keras import layers as L
from keras import ops

X = np.random.default_rng(0).normal(size=(3, 4, 5)).astype("float32")


@pytest.mark.parametrize("name", ["sqrt", "rsqrt", "log", "log2", "log10", "cbrt"])
def test_functions_of_each_element(canonicalized, name):
    assert canonicalized(getattr(ops, name), samples=[np.abs(X) + 0.1]) == ["FiniteGradient"]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.std(x, axis=1),
        lambda x: ops.std(x, axis=(1, 2), keepdims=True),
        lambda x: ops.norm(x, axis=-1),
        lambda x: ops.norm(x, ord=1, axis=1, keepdims=True),
    ],
)
def test_functions_along_axes(canonicalized, function):
    assert canonicalized(function, samples=[X]) == ["FiniteGradient"]


@pytest.mark.parametrize("function", [ops.argmax, ops.argmin])
@pytest.mark.parametrize("arguments", [{"axis": 1}, {"axis": -1, "keepdims": True}])
def test_the_index_of_the_largest_and_the_smallest(canonicalized, function, arguments):
    assert canonicalized(lambda x: function(x, **arguments), samples=[X]) == ["ArgMax"]


def test_the_error_function(canonicalized):
    assert canonicalized(ops.erf, samples=[X], atol=1e-6) == ["ErrorFunction"]


@pytest.mark.parametrize("axis", [-1, 2])
def test_a_softmax(canonicalized, axis):
    assert canonicalized(L.Softmax(axis=axis), samples=[X]) == ["Softmax"]


@pytest.mark.parametrize("empty_row", [False, True])
def test_a_softmax_under_a_mask(canonicalized, empty_row):
    mask = np.tri(4, 5, k=-1 if empty_row else 0, dtype=bool)
    layer = L.Softmax()
    found = canonicalized(lambda x: layer(x, mask=mask), samples=[X])
    assert {"Constant", "MaskedScores", "Softmax"} <= {*found}
    assert ("Multiply" in found) is empty_row
    found = canonicalized(lambda x, m: layer(x, mask=m), samples=[X, np.stack([mask] * 3)])
    assert {"AsFloat", "MaskedScores", "Softmax"} <= {*found}
