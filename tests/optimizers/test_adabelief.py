"""AdaBelief against its paper in NumPy; the authors' figures stand in test_references.py."""

import math

import numpy as np
import pytest

from tfopt.optimizers import AdaBelief


def reference(p, gradients, lr, b1, b2, eps, wd=0.0, rectify=False, decoupled=True, sgd=True):
    """Algorithm 2 of the paper, and the rectified form of the authors' package, plainly."""
    m, s = np.zeros_like(p), np.zeros_like(p)
    longest = 2 / (1 - b2) - 1
    path = [p]
    for t, g in enumerate(gradients, start=1):
        g = g if decoupled else g + wd * p
        m = b1 * m + (1 - b1) * g
        s = b2 * s + (1 - b2) * (g - m) ** 2 + eps
        m_hat = m / (1 - b1**t)
        rho = longest - 2 * t * b2**t / (1 - b2**t)
        if not rectify:
            step = m_hat / (np.sqrt(s / (1 - b2**t)) + eps)
        elif rho >= 5:
            r = math.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
            step = r * math.sqrt(1 - b2**t) * m_hat / (np.sqrt(s) + eps)
        else:
            step = m_hat if sgd else 0.0
        p = p - lr * step - (lr * wd * p if decoupled else 0.0)
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize("rectify", [False, True])
@pytest.mark.parametrize(
    ("b1", "b2", "eps", "options"),
    [
        (0.9, 0.999, 1e-16, {}),
        (0.5, 0.9, 1e-3, {"weight_decay": 0.3}),
        (0.9, 0.99, 1e-8, {"weight_decay": 0.3, "decoupled_weight_decay": False}),
        (0.9, 0.99, 1e-8, {"weight_decay": 0.3, "degenerated_to_sgd": False}),
    ],
)
def test_follows_the_numpy_reference(rectify, b1, b2, eps, options, rough, replay, deviation):
    start, gradients = rough
    theirs = reference(
        start,
        gradients,
        0.02,
        b1,
        b2,
        eps,
        options.get("weight_decay", 0.0),
        rectify,
        options.get("decoupled_weight_decay", True),
        options.get("degenerated_to_sgd", True),
    )
    optimizer = AdaBelief(0.02, b1, b2, eps, rectify=rectify, **options)
    ours = replay(optimizer, {"p": start}, {"p": gradients})
    assert deviation(ours["p"], theirs) < 5e-5


def test_steps_grow_where_the_gradient_is_as_expected(replay):
    """Of two gradients of the same size, the one that keeps its sign moves further."""
    gradients = np.stack([np.ones(20), np.tile([1.0, -1.0], 10)], axis=1)
    path = replay(AdaBelief(0.01), {"p": np.zeros(2)}, {"p": gradients})["p"]
    last = np.abs(path[-1] - path[-2])
    assert last[0] > 20 * last[1]


def test_weight_without_gradient_stays(replay):
    path = replay(AdaBelief(0.1), {"p": np.ones(2)}, {"p": np.array([[0.0, 1.0]] * 3)})["p"]
    assert path[-1][0] == 1.0
