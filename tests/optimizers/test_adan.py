"""Adan against its paper in NumPy; the authors' figures stand in test_references.py."""

import keras
import numpy as np
import pytest

from tfopt.optimizers import Adan


def reference(p, gradients, lr, b1, b2, b3, eps, wd):
    """Algorithm 1 of the paper with kept fractions, plainly."""
    m, v, n, last = (np.zeros_like(p) for _ in range(4))
    path = [p]
    for t, g in enumerate(gradients, start=1):
        d = np.zeros_like(g) if t == 1 else g - last
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * d
        n = b3 * n + (1 - b3) * (g + b2 * d) ** 2
        m_hat, v_hat, n_hat = m / (1 - b1**t), v / (1 - b2**t), n / (1 - b3**t)
        p = (p - lr * (m_hat + b2 * v_hat) / (np.sqrt(n_hat) + eps)) / (1 + lr * wd)
        last = g
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize(
    ("b1", "b2", "b3", "eps", "wd"),
    [(0.98, 0.92, 0.99, 1e-8, 0.0), (0.9, 0.5, 0.999, 1e-3, 0.3), (0.0, 0.0, 0.0, 1e-8, 0.02)],
)
def test_follows_the_numpy_reference(b1, b2, b3, eps, wd, replay, deviation):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(4, 3)), random.normal(size=(25, 4, 3))
    gradients *= np.array([1e-6, 1.0, 1e2])
    gradients[10] *= 50
    gradients[5:, 2] = 0
    theirs = reference(start, gradients, 0.02, b1, b2, b3, eps, wd)
    ours = replay(Adan(0.02, b1, b2, b3, eps, weight_decay=wd), {"p": start}, {"p": gradients})
    assert deviation(ours["p"], theirs) < 2e-5


def test_first_step_is_that_of_the_sign(replay):
    """With no change of gradient yet, the averages cancel: every entry moves by the learning rate."""
    path = replay(Adan(0.1), {"p": np.zeros(3)}, {"p": np.array([[1e-4, -5.0, 300.0]])})["p"]
    np.testing.assert_allclose(path[1], [-0.1, 0.1, -0.1], rtol=1e-3)


def test_weight_without_gradient_stays(replay):
    path = replay(Adan(0.1), {"p": np.ones(2)}, {"p": np.array([[0.0, 1.0]] * 3)})["p"]
    assert path[-1][0] == 1.0


def test_decays_only_what_is_not_excluded():
    kernel, bias = keras.Variable(np.ones(2), name="kernel"), keras.Variable(np.ones(2), name="bias")
    optimizer = Adan(0.1, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build([kernel, bias])
    optimizer.apply([np.zeros(2, "float32"), np.zeros(2, "float32")])
    np.testing.assert_allclose(kernel.numpy(), 1 / 1.05, rtol=1e-6)
    np.testing.assert_array_equal(bias.numpy(), 1.0)
