"""A fixture for what is decomposed and rewritten."""

import keras
import numpy as np
import pytest

from tfopt.graph import nodes
from tfopt.quantization.canonicalize.canonicalize import canonical


@pytest.fixture
def canonicalized():
    """Return a function that canonicalizes a model of one function and compares the outputs of both.

    It returns the names of the classes that the canonical model calls, in order.
    """

    def check(function, *shapes, samples=None, int16=False, atol=1e-5):
        rng = np.random.default_rng(0)
        if samples is None:
            samples = [rng.normal(size=(3, *shape)).astype("float32") for shape in shapes]
        inputs = [keras.Input(x.shape[1:], dtype=x.dtype.name) for x in samples]
        model = keras.Model(inputs, function(*inputs))
        for variable in model.trainable_variables:  # biases that are not zero, factors that are not one
            variable.assign_add(0.1 * rng.normal(size=variable.shape))
        expected = [np.asarray(y) for y in keras.tree.flatten(model(samples))]
        result, _ = canonical(model, lambda _: int16)
        for mine, theirs in zip(keras.tree.flatten(result(samples)), expected, strict=True):
            np.testing.assert_allclose(mine, theirs, atol=atol, rtol=1e-5)
        return [type(node.operation).__name__ for node in nodes(result)]

    return check
