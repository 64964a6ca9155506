"""RAdam against its paper in NumPy; figures of the authors and of torch stand in test_references.py."""

import math

import numpy as np
import pytest

from tfopt.optimizers import RAdam


def reference(p, gradients, lr, b1, b2, eps, wd=0.0, decoupled=True, sgd=True):
    """Algorithm 2 of the paper, with the authors' threshold and epsilon, plainly."""
    m, v = np.zeros_like(p), np.zeros_like(p)
    longest = 2 / (1 - b2) - 1
    path = [p]
    for t, g in enumerate(gradients, start=1):
        g = g if decoupled else g + wd * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        rho = longest - 2 * t * b2**t / (1 - b2**t)
        decay = lr * wd * p if decoupled else 0.0
        if rho >= 5:
            r = math.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
            p = p - decay - lr * r * math.sqrt(1 - b2**t) * m / (1 - b1**t) / (np.sqrt(v) + eps)
        elif sgd:
            p = p - decay - lr * m / (1 - b1**t)
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize(
    ("b1", "b2", "eps", "options"),
    [
        (0.9, 0.999, 1e-8, {}),
        (0.5, 0.9, 1e-3, {"weight_decay": 0.3}),
        (0.9, 0.99, 1e-8, {"weight_decay": 0.3, "decoupled_weight_decay": False}),
        (0.9, 0.999, 1e-8, {"weight_decay": 0.3, "degenerated_to_sgd": False}),
        (0.0, 0.6, 1e-8, {"weight_decay": 0.01}),
    ],
)
def test_follows_the_numpy_reference(b1, b2, eps, options, rough, replay, deviation):
    start, gradients = rough
    gradients[:6] *= 0.01
    theirs = reference(
        start,
        gradients,
        0.02,
        b1,
        b2,
        eps,
        options.get("weight_decay", 0.0),
        options.get("decoupled_weight_decay", True),
        options.get("degenerated_to_sgd", True),
    )
    ours = replay(RAdam(0.02, b1, b2, eps, **options), {"p": start}, {"p": gradients})
    assert deviation(ours["p"], theirs) < 2e-5


def test_first_adaptive_step_keeps_its_digits(replay):
    """`rho_t` is 5.99 of 1999 at the sixth step: in float32, only four digits of the factor would be left."""
    start, gradients = np.zeros(1), np.full((6, 1), 1e-9)
    ours = replay(RAdam(1.0, epsilon=1e-30), {"p": start}, {"p": gradients})["p"]
    theirs = reference(start, gradients, 1.0, 0.9, 0.999, 1e-30)
    np.testing.assert_allclose(ours[6] - ours[5], theirs[6] - theirs[5], rtol=3e-6)


def test_can_wait_for_the_adaptive_steps(replay):
    path = replay(RAdam(0.1, degenerated_to_sgd=False), {"p": np.ones(1)}, {"p": np.ones((7, 1))})["p"]
    assert (path[:6] == 1.0).all()
    assert path[6] < 1.0
