"""Each way to factorize each kind of layer: the same outputs with the full rank, and the costs it tells."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from tfopt import measure
from tfopt.factorization.build import built
from tfopt.factorization.candidates import candidates

LAYERS = {
    "dense": ((7,), lambda: layers.Dense(5, activation="relu")),
    "dense on a sequence": ((4, 7), lambda: layers.Dense(9, use_bias=False)),
    "pointwise": ((6, 6, 5), lambda: layers.Conv2D(8, 1, strides=2, activation="relu")),
    "same": ((9, 10, 5), lambda: layers.Conv2D(6, (3, 4), padding="same")),
    "strides": ((9, 10, 5), lambda: layers.Conv2D(6, (3, 4), strides=(2, 3), padding="same")),
    "valid strides": ((9, 10, 5), lambda: layers.Conv2D(6, (5, 3), strides=2, use_bias=False)),
    "dilation": ((12, 12, 5), lambda: layers.Conv2D(6, 3, dilation_rate=(2, 3), padding="same")),
    "causal": ((12, 5), lambda: layers.Conv1D(6, 4, padding="causal", dilation_rate=2)),
    "volume": ((5, 6, 7, 3), lambda: layers.Conv3D(4, (2, 3, 2), strides=(1, 2, 1), padding="same")),
    "einsum": ((3, 8), lambda: layers.EinsumDense("abc,cde->abde", (3, 2, 5), bias_axes="de")),
    "einsum of two axes": ((3, 2, 5), lambda: layers.EinsumDense("abde,edc->abc", (3, 4), bias_axes="c")),
    "einsum that turns": ((3, 8), lambda: layers.EinsumDense("abc,dc->adb", (6, 3), activation="relu")),
    # Of unequal sizes Keras 3.15 tells the shape of the output with both exchanged.
    "einsum before": ((4, 4, 8), lambda: layers.EinsumDense("...c,cd->...d", (6,), bias_axes="d")),
    "einsum after": ((3, 8, 2), lambda: layers.EinsumDense("abc...,cd->abd...", (3, 6))),
}


def _model(shape, make):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    model = keras.Model(inputs, make()(inputs))
    for weight in model.weights:
        weight.assign(np.random.default_rng(1).standard_normal(weight.shape))
    return model


def _built(model, method, ranks):
    (candidate,), _ = candidates(model, method)
    ranks = ranks(candidate.factorization.full)
    return candidate, ranks, built(model, {candidate.path: candidate.factorization.factors(ranks)})


def _half(full):
    return tuple(max(1, each // 2) for each in full)


def _cases():
    for name, (shape, _) in LAYERS.items():
        convolution = "einsum" not in name and "dense" not in name and name != "pointwise"
        for method in ("tucker", "svd", "spatial") if convolution else ("tucker",):
            if method != "spatial" or len(shape) == 3:
                yield pytest.param(name, method, id=f"{name}, {method}")


@pytest.mark.parametrize(("name", "method"), [*_cases()])
def test_the_full_rank_gives_the_same_and_a_lower_one_the_product(name, method):
    shape, make = LAYERS[name]
    model = _model(shape, make)
    x = np.random.default_rng(2).standard_normal((3, *shape)).astype("float32")
    for ranks_of in (tuple, _half, lambda full: (full[0], *_half(full[1:])), lambda full: (1, *full[1:])):
        candidate, ranks, factorized = _built(model, method, ranks_of)
        factorization, kernel = candidate.factorization, candidate.layer.kernel.numpy()
        product = factorization.approximation(ranks)
        if ranks == factorization.full:
            np.testing.assert_allclose(product, kernel, atol=1e-12)
        error = ((product - kernel) ** 2).sum() / (kernel**2).sum()
        assert factorization.error(ranks) == pytest.approx(error, abs=1e-6)
        candidate.layer.kernel.assign(product)
        expected = model(x)
        candidate.layer.kernel.assign(kernel)
        np.testing.assert_allclose(factorized(x), expected, atol=2e-5, rtol=1e-5)
        assert factorized.output_shape == model.output_shape


@pytest.mark.parametrize(("name", "method"), [*_cases()])
def test_the_costs_are_those_of_the_model(name, method):
    shape, make = LAYERS[name]
    model = _model(shape, make)
    for ranks_of in (_half, lambda full: (full[0], *_half(full[1:]))):
        candidate, ranks, factorized = _built(model, method, ranks_of)
        factorization = candidate.factorization
        assert candidate.macs == measure.macs(model)
        assert sum(int(factorization.macs(call, *ranks)) for call in candidate.calls) == measure.macs(
            factorized
        )
        grown = factorized.count_params() - model.count_params()
        assert int(factorization.weights(*ranks)) - candidate.weights == grown
        assert int(factorization.extra_layers(*ranks)) == len(factorized.layers) - len(model.layers)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_random_convolutions(data):
    kernel = data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
    strides = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    dilation = data.draw(st.sampled_from([(1, 1), (2, 1), (1, 3), (2, 2)])) if strides == (1, 1) else (1, 1)
    channels, filters = data.draw(st.integers(1, 6)), data.draw(st.integers(2, 6))
    size = data.draw(st.tuples(st.integers(12, 15), st.integers(12, 15)))
    method = data.draw(st.sampled_from(["tucker", "svd", "spatial"]))
    padding = data.draw(st.sampled_from(["same", "valid"]))
    model = _model(
        (*size, channels),
        lambda: layers.Conv2D(filters, kernel, strides=strides, dilation_rate=dilation, padding=padding),
    )
    if not candidates(model, method)[0]:  # a line of taps is no plane
        assert method == "spatial"
        assert 1 in kernel
        assert kernel != (1, 1)
        return
    _, _, factorized = _built(model, method, tuple)
    x = np.random.default_rng(3).standard_normal((2, *size, channels)).astype("float32")
    np.testing.assert_allclose(factorized(x), model(x), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["tucker", "svd", "spatial"])
def test_channels_first_stays_channels_first(method):
    model = _model((5, 9, 10), lambda: layers.Conv2D(6, 3, strides=(2, 1), data_format="channels_first"))
    candidate, ranks, factorized = _built(model, method, tuple)
    assert all(each.data_format == "channels_first" for each in factorized.layers[1:])
    assert factorized.output_shape == model.output_shape
    assert sum(int(candidate.factorization.macs(call, *ranks)) for call in candidate.calls) == measure.macs(
        factorized
    )
    x = np.random.default_rng(3).standard_normal((2, 5, 9, 10)).astype("float32")
    # XLA, for TensorFlow has no kernels of its own for channels first on most CPUs.
    now, before = (tf.function(each, jit_compile=True)(x) for each in (factorized, model))
    np.testing.assert_allclose(now, before, atol=2e-5, rtol=1e-5)


def test_tucker_loses_less_with_every_rank_and_less_for_its_refinement():
    model = _model((8, 8, 6), lambda: layers.Conv2D(7, 3))
    (candidate,), _ = candidates(model, "tucker")
    factorization = candidate.factorization
    grid = np.ix_(range(1, 7), range(1, 8))
    first = factorization.errors(*grid)
    assert (np.diff(first, axis=0) <= 0).all()
    assert (np.diff(first, axis=1) <= 0).all()
    refined = np.array([[factorization.error((i, o)) for o in range(1, 8)] for i in range(1, 7)])
    assert (refined <= first + 1e-12).all()
    assert (refined < first - 1e-4).any()
    assert refined[-1, -1] == pytest.approx(0, abs=1e-12)
    assert (np.diff(refined, axis=0) <= 1e-4).all()
    assert (np.diff(refined, axis=1) <= 1e-4).all()


def test_a_kernel_of_low_rank_is_found():
    model = _model((8, 8, 6), lambda: layers.Conv2D(8, 3))
    generator = np.random.default_rng(0)
    inputs, core, outputs = (generator.standard_normal(s) for s in ((6, 2), (3, 3, 2, 3), (3, 8)))
    model.layers[1].kernel.assign(np.einsum("ip,hwpq,qo->hwio", inputs, core, outputs))
    (candidate,), _ = candidates(model, "tucker")
    assert candidate.factorization.error((2, 3)) < 1e-10
    assert candidate.factorization.error((2, 2)) > 1e-3
