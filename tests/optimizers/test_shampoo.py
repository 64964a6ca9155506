"""Shampoo against its paper in NumPy; figures of two other sources stand in test_references.py."""

import numpy as np
import pytest

from tfopt.optimizers import Shampoo

OPTIONS = [
    {"beta_1": 0.0, "epsilon": 1e-4},
    {"beta_2": 0.9, "epsilon": 1e-3, "weight_decay": 0.2, "precondition_frequency": 3},
    {"beta_2": 0.9, "epsilon": 1e-3, "max_preconditioner_dim": 3, "use_bias_correction": False},
    {"epsilon": 1e-3, "precondition_1d": False, "start_preconditioning_step": 4, "grafting": "sgd"},
    {"epsilon": 1e-3, "grafting": "adagrad", "precondition_frequency": 2, "start_preconditioning_step": 5},
    {"beta_2": 0.9, "epsilon": 1e-3, "grafting": "rmsprop", "grafting_beta_2": 0.8, "grafting_epsilon": 0.1},
    {"beta_2": 0.9, "epsilon": 1e-3, "grafting": "adam", "precondition_frequency": 4},
]


def graft(name, m, squares, beta_2, epsilon):
    """The grafted method's step by `m`, from the squares of all gradients so far."""
    t = len(squares)
    if name == "sgd":
        return m
    weights = np.ones(t) if name == "adagrad" else (1 - beta_2) * beta_2 ** np.arange(t - 1, -1, -1)
    correction = 1 - beta_2**t if name == "adam" else 1.0
    return m / (np.sqrt(np.tensordot(weights, squares, axes=1) / correction) + epsilon)


def reference(
    p,
    gradients,
    lr,
    beta_1=0.9,
    beta_2=1.0,
    epsilon=1e-12,
    weight_decay=0.0,
    precondition_frequency=1,
    start_preconditioning_step=None,
    max_preconditioner_dim=1024,
    precondition_1d=True,
    use_bias_correction=True,
    grafting=None,
    grafting_beta_2=0.999,
    grafting_epsilon=1e-8,
):
    shape = p.shape or (1,)
    start = start_preconditioning_step or precondition_frequency
    m, matrices, path = np.zeros(shape), [0.0] * len(shape), [p]
    roots = [np.eye(n) for n in shape]
    for t, gradient in enumerate(gradients, start=1):
        g = gradient.reshape(shape)
        m = beta_1 * m + (1 - beta_1) * g
        m_hat = m / (1 - beta_1**t) if use_bias_correction else m
        for k, n in enumerate(shape):
            rows = np.moveaxis(g, k, 0).reshape(n, -1)
            new = rows @ rows.T
            if n > max_preconditioner_dim or (p.ndim < 2 and not (precondition_1d and p.ndim)):
                new = np.diag(np.diag(new))
            matrices[k] = matrices[k] + new if beta_2 == 1 else beta_2 * matrices[k] + (1 - beta_2) * new
            if t == start or (t > start and t % precondition_frequency == 0):
                correction = 1 - beta_2**t if use_bias_correction and beta_2 < 1 else 1.0
                values, vectors = np.linalg.eigh(matrices[k] / correction + epsilon * np.eye(n))
                roots[k] = (vectors * values ** (-1 / (2 * len(shape)))) @ vectors.T
        step = m_hat
        for k, root in enumerate(roots):
            step = np.moveaxis(np.tensordot(step, root, axes=[[k], [0]]), -1, k)
        if grafting:
            squares = gradients[:t].reshape(t, *shape) ** 2
            other = graft(grafting, m_hat, squares, grafting_beta_2, grafting_epsilon)
            step = step * np.linalg.norm(other) / np.linalg.norm(step) if t >= start else other
        p = p - lr * (step.reshape(p.shape) + weight_decay * p)
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize("options", OPTIONS)
def test_follows_the_numpy_reference(options, replay, deviation):
    random = np.random.default_rng(0)
    shapes = {"kernel": (5, 4), "conv": (2, 2, 3, 4), "bias": (3,), "gain": (6,), "scale": ()}
    start = {name: random.normal(size=shape) for name, shape in shapes.items()}
    gradients = {name: random.normal(size=(12, *shape)) for name, shape in shapes.items()}
    gradients["kernel"] *= np.array([1e-2, 1.0, 10.0, 1.0])
    ours = replay(Shampoo(0.01, **options), start, gradients, "float64")
    in_float32 = replay(Shampoo(0.01, **options), start, gradients)
    for name in shapes:
        theirs = reference(start[name], gradients[name], 0.01, **options)
        assert deviation(ours[name], theirs) < 1e-6, name
        assert deviation(in_float32[name], theirs) < 5e-3, name


def test_gradients_of_low_rank_stay_finite(replay):
    """Rounding can make the least eigenvalues of a singular matrix negative."""
    random = np.random.default_rng(0)
    gradients = random.normal(size=(20, 30, 1)) * random.normal(size=(1, 20))
    path = replay(Shampoo(0.01), {"p": np.zeros((30, 20))}, {"p": gradients})["p"]
    assert np.isfinite(path).all()
    assert np.abs(path).max() < 1


def test_weight_without_gradient_stays(replay):
    gradients = np.zeros((3, 2, 3))
    path = replay(Shampoo(0.1, grafting="adam"), {"p": np.ones((2, 3))}, {"p": gradients})["p"]
    np.testing.assert_array_equal(path, 1.0)
