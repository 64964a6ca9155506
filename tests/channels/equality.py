"""Cutting a model against masking it: what is left computes the same."""

import keras
import numpy as np

from tfopt.channels.cut import cut, masked
from tfopt.channels.dependency import dependencies

SAMPLES = 3


def give_weights(model, seed=0):
    """Give a model weights of which none is zero, and statistics as of data."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        if "float" not in variable.dtype:
            continue
        if "variance" in variable.path:
            variable.assign(rng.uniform(0.5, 2.0, variable.shape))
        elif len(variable.shape) > 1:
            fan_in = np.prod(variable.shape[:-1])
            variable.assign(rng.normal(0, 1 / np.sqrt(fan_in), variable.shape))
        else:
            scale = 1.0 if "gamma" in variable.path else 0.0
            variable.assign(rng.normal(scale, 0.3, variable.shape))


def inputs_of(model, seed=1, samples=SAMPLES):
    """Return random inputs of a functional model."""
    rng = np.random.default_rng(seed)

    def drawn(tensor):
        shape = [samples, *(8 if size is None else size for size in tensor.shape[1:])]
        if "float" in tensor.dtype:
            return rng.normal(size=shape).astype("float32")
        return rng.integers(0, 2 if tensor.dtype == "bool" else 4, shape).astype(tensor.dtype)

    arrays = [drawn(tensor) for tensor in model.inputs]
    return arrays if len(arrays) > 1 else arrays[0]


def kept_at_random(found, seed=2, share=0.6, only_exact=False):
    """Return which units stay: a part of each group."""
    rng = np.random.default_rng(seed)
    keep = np.ones(found.count, bool)
    for group in found.groups:
        if group.exact or not only_exact:
            stays = rng.random(len(group.units)) < share
            stays[rng.integers(len(stays))] = True
            keep[group.units] = stays
    return keep


def outputs_of(model, inputs):
    """Return the outputs of a model, flat, at inference."""
    return [np.asarray(output) for output in keras.tree.flatten(model(inputs, training=False))]


def assert_close(actual, expected, tolerance=1e-5):
    """Compare outputs, by the largest that is expected."""
    for one, other in zip(actual, expected, strict=True):
        assert one.shape == other.shape
        if "float" not in str(other.dtype):
            np.testing.assert_array_equal(one, other)
            continue
        assert np.isfinite(other).all()
        np.testing.assert_allclose(one, other, rtol=0, atol=tolerance * max(1.0, np.abs(other).max()))


def assert_cut_is_masked(model, seed=0, share=0.6, only_exact=True):
    """Cut and mask a model at random; return what can be removed, what stays and the smaller model."""
    give_weights(model, seed)
    found = dependencies(model)
    inputs = inputs_of(found.model)
    assert_close(outputs_of(found.model, inputs), outputs_of(model, inputs))
    keep = kept_at_random(found, seed, share, only_exact)
    smaller = cut(found, keep)
    assert_close(outputs_of(smaller, inputs), outputs_of(masked(found, keep), inputs))
    return found, keep, smaller


def assert_cut_runs(model, seed):
    """Cut a model at random, statistics over channels too; the result has outputs of the old shapes."""
    found = dependencies(model)
    inputs = inputs_of(found.model)
    smaller = cut(found, kept_at_random(found, seed, 0.5))
    for one, other in zip(outputs_of(smaller, inputs), outputs_of(model, inputs), strict=True):
        assert one.shape == other.shape
        assert np.isfinite(one).all()
