"""The clipping methods against figures of torch 2.13 and optax 0.2.8: clipping, then SGD of rate 0.01."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tfopt.clipping import METHODS

GOLDEN = Path(__file__).parent / "golden"
FIGURES = {
    "value": ("clip-value_torch", 0.05),
    "norm": ("clip-norm_torch", 0.5),
    "global_norm": ("clip-global-norm_optax", 0.5),
    "adaptive": ("agc_optax", 0.01),
    "block_rms": ("clip-block-rms_optax", 0.1),
}


@pytest.mark.parametrize("problem", ["rosenbrock", "quadvec", "quadmat"])
@pytest.mark.parametrize("method", FIGURES)
def test_follows_torch_and_optax(method, problem):
    name, threshold = FIGURES[method]
    figures = np.load(GOLDEN / f"{name}.npz")
    names = [key.split("/")[2] for key in figures if key.startswith(f"{problem}/grad/")]
    theirs = {n: figures[f"{problem}/{n}"] for n in names}
    clipped = False
    for step in range(20):
        gradients = [tf.constant(figures[f"{problem}/grad/{n}"][step]) for n in names]
        variables = [tf.constant(theirs[n][step]) for n in names]
        ours = METHODS[method].clip(gradients, variables, threshold)
        for n, gradient, before in zip(names, ours, gradients, strict=True):
            expected = (theirs[n][step] - theirs[n][step + 1]) / 0.01
            scale = np.abs(expected).max()
            np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-5 * scale + 1e-12)
            clipped |= not np.array_equal(gradient, before)
    assert clipped


@pytest.mark.parametrize("method", FIGURES)
def test_leaves_small_gradients_bit_for_bit(method):
    random = np.random.default_rng(0)
    gradients = [
        tf.constant(random.normal(size=shape) * 1e-5, tf.float32) for shape in ((3, 4), (4,), (2, 2, 3, 4))
    ]
    variables = [tf.ones_like(g) for g in gradients]
    for before, after in zip(gradients, METHODS[method].clip(gradients, variables, 1.0), strict=True):
        np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("method", FIGURES)
def test_zero_gradients_and_weights_stay_finite(method):
    zeros = [tf.zeros((3, 4)), tf.zeros(4)]
    for gradient in METHODS[method].clip(zeros, zeros, 0.1):
        np.testing.assert_array_equal(gradient, 0.0)


@pytest.mark.parametrize("method", FIGURES)
def test_keeps_the_dtype(method):
    for dtype in (tf.float16, tf.bfloat16, tf.float64):
        gradient, variable = tf.fill((2, 2), tf.cast(9.0, dtype)), tf.ones((2, 2), dtype)
        (clipped,) = METHODS[method].clip([gradient], [variable], 0.5)
        assert clipped.dtype == dtype
        assert float(tf.reduce_max(clipped)) < 1


@pytest.mark.parametrize("method", FIGURES)
def test_sparse_equals_dense(method):
    values = tf.constant([[3.0, 0.1], [-4.0, 0.2]])
    slices = tf.IndexedSlices(values, tf.constant([3, 1]), tf.constant([5, 2]))
    variable = tf.reshape(tf.range(10.0), (5, 2))
    (sparse,) = METHODS[method].clip([slices], [variable], 0.05)
    (dense,) = METHODS[method].clip([tf.convert_to_tensor(slices)], [variable], 0.05)
    assert isinstance(sparse, tf.IndexedSlices)
    np.testing.assert_allclose(tf.convert_to_tensor(sparse), dense, rtol=1e-6)
