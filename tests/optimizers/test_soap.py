"""SOAP against algorithm 3 of its paper in NumPy; the authors' figures stand in test_references.py."""

import contextlib

import keras
import numpy as np
import pytest

from tfopt.optimizers import SOAP
from tfopt.optimizers._core.kronecker import merge_axes

OPTIONS = [
    {"precondition_frequency": 1},
    {"precondition_frequency": 3, "weight_decay": 0.3, "shampoo_beta": 0.7, "beta_1": 0.5, "beta_2": 0.8},
    {"max_precond_dim": 4, "precondition_frequency": 2, "normalize_grads": True},
    {"precondition_1d": True, "correct_bias": False, "epsilon": 1e-3},
    {"merge_dims": True, "max_precond_dim": 6, "precondition_frequency": 4},
    {"max_precond_dim": 1},
]


def rotate(x, bases, *, back=False):
    for axis, q in bases.items():
        x = np.moveaxis(np.tensordot(x, q, axes=[[axis], [1 if back else 0]]), -1, axis)
    return x


def reference(
    p,
    gradients,
    lr,
    beta_1=0.95,
    beta_2=0.95,
    epsilon=1e-8,
    weight_decay=0.0,
    shampoo_beta=None,
    precondition_frequency=10,
    max_precond_dim=10_000,
    merge_dims=False,
    precondition_1d=False,
    normalize_grads=False,
    correct_bias=True,
):
    """The paper's algorithm with an axis for each matrix; the first gradient is for the bases alone."""
    shape = merge_axes(p.shape, max_precond_dim) if merge_dims and p.ndim > 1 else p.shape
    axes = [k for k, n in enumerate(shape) if n <= max_precond_dim and (len(shape) > 1 or precondition_1d)]
    kept = beta_2 if shampoo_beta is None else shampoo_beta
    m, v = np.zeros(shape), np.zeros(shape)
    covariances, bases, path = dict.fromkeys(axes, 0.0), {}, [p]
    for s, gradient in enumerate(gradients):
        g = gradient.reshape(shape)
        if s > 0:
            rotated = rotate(g, bases)
            m = beta_1 * m + (1 - beta_1) * rotated
            v = beta_2 * v + (1 - beta_2) * rotated**2
            step = rotate(m / (np.sqrt(v) + epsilon), bases, back=True)
            if normalize_grads:
                step = step / np.sqrt(np.mean(step**2))
            rate = lr * (np.sqrt(1 - beta_2**s) / (1 - beta_1**s) if correct_bias else 1.0)
            p = p - rate * step.reshape(p.shape)
            p = p - lr * weight_decay * p
        for k in axes:
            rows = np.moveaxis(g, k, 0).reshape(shape[k], -1)
            covariances[k] = kept * covariances[k] + (1 - kept) * rows @ rows.T
        if s == 0:
            bases = {k: np.linalg.eigh(covariances[k])[1][:, ::-1] for k in axes}
        elif s % precondition_frequency == 0:
            m = rotate(m, bases, back=True)
            for k in axes:
                order = np.argsort(-np.diag(bases[k].T @ covariances[k] @ bases[k]))
                v = np.take(v, order, axis=k)
                bases[k] = np.linalg.qr(covariances[k] @ bases[k][:, order])[0]
            m = rotate(m, bases)
        path.append(p)
    return np.stack(path)


def separated(random, shape, steps):
    """Gradients whose directions differ in size, so that eigenvectors are well defined."""
    gradients = random.normal(size=(steps, *shape))
    for axis, size in enumerate(shape):
        q = np.linalg.qr(random.normal(size=(size, size)))[0] * 2.0 ** -np.arange(size)
        gradients = np.moveaxis(np.tensordot(gradients, q, axes=[[axis + 1], [1]]), -1, axis + 1)
    return gradients


@pytest.mark.parametrize("options", OPTIONS)
def test_follows_the_numpy_reference(options, replay, deviation):
    """In float64: an eigenvector that is little determined by the first gradient differs in float32."""
    random = np.random.default_rng(0)
    shapes = {"kernel": (5, 5), "wide": (4, 7), "conv": (2, 2, 3, 4), "bias": (3,), "scale": ()}
    start = {name: random.normal(size=shape) for name, shape in shapes.items()}
    gradients = {name: separated(random, shape, 14) for name, shape in shapes.items()}
    if options.get("precondition_1d"):
        # The first gradient determines one direction of three.
        del shapes["bias"], start["bias"], gradients["bias"]
    if options.get("max_precond_dim", 7) >= 7:
        # It determines four directions of seven.
        del shapes["wide"], start["wide"], gradients["wide"]
    ours = replay(SOAP(0.01, **{"weight_decay": None, **options}), start, gradients, "float64")
    for name in shapes:
        theirs = reference(start[name], gradients[name], 0.01, **options)
        assert deviation(ours[name], theirs) < 1e-5, name


def test_first_update_moves_nothing(replay):
    path = replay(SOAP(0.1, weight_decay=0.5), {"p": np.ones((2, 3))}, {"p": np.ones((2, 2, 3))})["p"]
    np.testing.assert_array_equal(path[1], path[0])
    assert (path[2] < path[1]).all()


def test_weights_without_gradient_at_first_are_preconditioned_later(replay):
    random = np.random.default_rng(0)
    gradients = random.normal(size=(6, 3, 3))
    gradients[:2] = 0
    path = replay(SOAP(0.1, precondition_frequency=1), {"p": np.ones((3, 3))}, {"p": gradients})["p"]
    assert np.isfinite(path).all()
    assert np.abs(path[-1] - path[0]).min() > 0


def test_compiled_eager_and_replicated_are_equal(two_devices):
    """With a kernel all of whose eigenvectors the gradients determine."""
    random = np.random.default_rng(0)
    x = random.normal(size=(48, 5)) * [3.0, 2.0, 1.5, 1.0, 0.5]
    y = x @ random.normal(size=(5, 4)) * [1.0, 2.0, 4.0, 8.0]

    def weights(strategy=None, **compile_arguments):
        with strategy.scope() if strategy else contextlib.nullcontext():
            model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(4)])
            model.layers[0].kernel.assign(np.full((5, 4), 0.1))
            model.compile(SOAP(0.01, precondition_frequency=2, epsilon=1e-3), "mse", **compile_arguments)
        model.fit(x, y, batch_size=16, epochs=3, shuffle=False, verbose=0)
        return model.get_weights()[0]

    plain = weights()
    assert np.abs(plain - 0.1).max() > 0.01
    for other in (weights(jit_compile=True), weights(run_eagerly=True), weights(two_devices)):
        np.testing.assert_allclose(other, plain, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("shape", "largest", "merged"),
    [
        ((3, 3, 64, 128), 10_000, (576, 128)),
        ((3, 3, 64, 128), 60, (9, 64, 128)),
        ((3, 3, 64, 128), 3, (3, 3, 64, 128)),
        ((20, 2, 2), 10, (20, 4)),
        ((4, 3), 12, (12,)),
        ((1, 1), 5, (1,)),
    ],
)
def test_merges_neighbouring_axes(shape, largest, merged):
    assert merge_axes(shape, largest) == merged
