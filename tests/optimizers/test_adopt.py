"""ADOPT against the authors' algorithm in NumPy; their figures stand in test_references.py."""

import numpy as np
import pytest

from tfopt.optimizers import ADOPT


def reference(p, gradients, lr, b1, b2, eps, wd=0.0, exponent=0.25, decoupled=True):
    """Algorithm 2 of the paper, plainly."""
    m, v = np.zeros_like(p), np.zeros_like(p)
    path = [p]
    for t, g in enumerate(gradients, start=1):
        g = g if decoupled else g + wd * p
        if t == 1:
            v = g**2
        else:
            step = g / np.maximum(np.sqrt(v), eps)
            if exponent is not None:
                step = np.clip(step, -((t - 1) ** exponent), (t - 1) ** exponent)
            m = b1 * m + (1 - b1) * step
            p = p - lr * m - (lr * wd * p if decoupled else 0.0)
            v = b2 * v + (1 - b2) * g**2
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize(
    ("b1", "b2", "eps", "options"),
    [
        (0.9, 0.9999, 1e-6, {}),
        (0.5, 0.9, 1e-3, {"weight_decay": 0.3, "clip_exponent": 0.333}),
        (0.9, 0.99, 1e-6, {"weight_decay": 0.3, "decoupled_weight_decay": False}),
        (0.0, 0.0, 1e-1, {"clip_exponent": None}),
    ],
)
def test_follows_the_numpy_reference(b1, b2, eps, options, rough, replay, deviation):
    start, gradients = rough
    theirs = reference(
        start,
        gradients,
        0.02,
        b1,
        b2,
        eps,
        options.get("weight_decay", 0.0),
        options.get("clip_exponent", 0.25),
        options.get("decoupled_weight_decay", True),
    )
    ours = replay(ADOPT(0.02, b1, b2, eps, **options), {"p": start}, {"p": gradients})
    assert deviation(ours["p"], theirs) < 2e-5


def test_first_update_moves_nothing(replay):
    path = replay(ADOPT(0.1, weight_decay=0.5), {"p": np.ones(2)}, {"p": np.array([[3.0, 0.0]] * 2)})["p"]
    np.testing.assert_array_equal(path[1], 1.0)
    np.testing.assert_allclose(path[2], [1 - 0.1 * 0.1 - 0.05, 0.95], rtol=1e-6)
