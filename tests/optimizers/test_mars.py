"""MARS against the authors' algorithm in NumPy; their figures stand in test_references.py."""

import numpy as np
import pytest

from tfopt.optimizers import MARS
from tfopt.optimizers._core import group


def corrected(p, gradients, lr, b1, b2, gamma, eps, wd, mode):
    """Algorithms 2 and 3 of the paper in their approximate form, plainly: of one variable."""
    m, v, last = (np.zeros_like(p) for _ in range(3))
    path = [p]
    for t, g in enumerate(gradients, start=1):
        c = g + gamma * b1 / (1 - b1) * (g - last)
        c = c / max(np.linalg.norm(c), 1.0)
        m = b1 * m + (1 - b1) * c
        v = b2 * v + (1 - b2) * c**2
        adam = m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps)
        p = p - lr * ((np.sign(m) if mode == "lion" else adam) + wd * p)
        last = g
        path.append(p)
    return np.stack(path)


def adamw(p, gradients, lr, b1, b2, eps, wd):
    m, v = np.zeros_like(p), np.zeros_like(p)
    path = [p]
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        p = p - lr * (m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + wd * p)
        path.append(p)
    return np.stack(path)


@pytest.fixture
def mixed(rough):
    """Starts and gradients of a matrix, a vector and a kernel with four axes."""
    start, gradients = rough
    starts = {"matrix": start, "vector": start[1], "kernel": start.reshape(2, 2, 3, 1)}
    return starts, {
        "matrix": gradients,
        "vector": gradients[:, 1],
        "kernel": gradients.reshape(25, 2, 2, 3, 1),
    }


@pytest.mark.parametrize("joined_below", [0, 10**9])
@pytest.mark.parametrize("mode", ["adamw", "lion"])
@pytest.mark.parametrize("wd", [0.0, 0.3])
@pytest.mark.parametrize(("b1", "b2", "gamma", "eps"), [(0.95, 0.99, 0.025, 1e-8), (0.5, 0.9, 0.5, 1e-3)])
def test_follows_the_numpy_reference(
    b1, b2, gamma, eps, wd, mode, joined_below, mixed, replay, deviation, monkeypatch
):
    """Matrices take the corrected gradient, all else AdamW with figures of its own."""
    monkeypatch.setattr(group, "JOINED_BELOW", joined_below)
    starts, gradients = mixed
    optimizer = MARS(
        0.02,
        b1,
        b2,
        gamma,
        eps,
        weight_decay=wd,
        mode=mode,
        learning_rate_1d_factor=0.3,
        beta_1_1d=0.8,
        beta_2_1d=0.9,
    )
    ours = replay(optimizer, starts, gradients)
    theirs = {
        name: corrected(starts[name], gradients[name], 0.02, b1, b2, gamma, eps, wd, mode)
        if name == "matrix"
        else adamw(starts[name], gradients[name], 0.3 * 0.02, 0.8, 0.9, eps, 0.1)
        for name in starts
    }
    for name in starts:
        assert deviation(ours[name], theirs[name]) < 3e-5


@pytest.mark.parametrize("mode", ["adamw", "lion"])
def test_can_correct_all(mode, mixed, replay, deviation):
    starts, gradients = mixed
    ours = replay(MARS(0.02, weight_decay=0.1, mode=mode, optimize_1d=True), starts, gradients)
    for name in starts:
        theirs = corrected(starts[name], gradients[name], 0.02, 0.95, 0.99, 0.025, 1e-8, 0.1, mode)
        assert deviation(ours[name], theirs) < 3e-5


@pytest.mark.parametrize(
    ("shape", "options", "kept"),
    [((9, 9), {}, 3), ((9,), {}, 2), ((9, 9), {"mode": "lion"}, 2), ((9,), {"mode": "lion"}, 2)],
)
def test_keeps_what_the_rule_needs(shape, options, kept, replay):
    optimizer = MARS(0.1, **options)
    replay(optimizer, {"p": np.ones(shape)}, {"p": np.ones((1, *shape))})
    assert sum(np.size(v.numpy()) == np.prod(shape) for v in optimizer.variables) == kept


def test_vectors_decay_unless_told_otherwise(replay):
    decayed, still = (
        replay(MARS(0.1, weight_decay_1d=decay), {"p": np.ones(1)}, {"p": np.zeros((1, 1))})["p"][1]
        for decay in (0.1, None)
    )
    np.testing.assert_allclose(decayed, 0.99, rtol=1e-6)
    assert still == 1.0
