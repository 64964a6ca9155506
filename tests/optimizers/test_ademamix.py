"""AdEMAMix against its paper in NumPy; the authors' figures stand in test_references.py."""

import math

import numpy as np
import pytest

from tfopt.optimizers import AdEMAMix


def warm(t, warmup, first, last):
    """The slow average's beta of the authors' scheduler."""

    def half_life(beta):
        return math.log(0.5) / math.log(beta + 1e-8) - 1

    if warmup is None or t >= warmup:
        return last
    share = t / warmup
    return 0.5 ** (1 / ((1 - share) * half_life(first) + share * half_life(last) + 1))


def reference(p, gradients, lr, b1, b2, b3, alpha, eps, wd, alpha_warmup, b3_warmup):
    """Algorithm 1 of the paper, plainly."""
    m1, m2, v = (np.zeros_like(p) for _ in range(3))
    path = [p]
    for t, g in enumerate(gradients, start=1):
        beta = warm(t, b3_warmup, b1, b3)
        weight = alpha if alpha_warmup is None else alpha * min(t / alpha_warmup, 1.0)
        m1 = b1 * m1 + (1 - b1) * g
        m2 = beta * m2 + (1 - beta) * g
        v = b2 * v + (1 - b2) * g**2
        step = (m1 / (1 - b1**t) + weight * m2) / (np.sqrt(v / (1 - b2**t)) + eps)
        p = p - lr * (step + wd * p)
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize(
    ("b1", "b2", "b3", "alpha", "eps", "wd", "alpha_warmup", "b3_warmup"),
    [
        (0.9, 0.999, 0.9999, 5.0, 1e-8, 0.0, None, None),
        (0.9, 0.99, 0.999, 8.0, 1e-3, 0.3, 10, 15),
        (0.0, 0.95, 0.99, 2.0, 1e-8, 0.1, None, 100),
        (0.5, 0.9, 0.9, 0.0, 1e-8, 0.1, 5, None),
    ],
)
def test_follows_the_numpy_reference(
    b1, b2, b3, alpha, eps, wd, alpha_warmup, b3_warmup, rough, replay, deviation
):
    start, gradients = rough
    figures = (b1, b2, b3, alpha, eps)
    theirs = reference(start, gradients, 0.02, *figures, wd, alpha_warmup, b3_warmup)
    optimizer = AdEMAMix(0.02, *figures, weight_decay=wd, alpha_warmup=alpha_warmup, beta_3_warmup=b3_warmup)
    assert deviation(replay(optimizer, {"p": start}, {"p": gradients})["p"], theirs) < 2e-5


def test_keeps_no_fast_average_that_equals_the_gradient(replay):
    optimizer = AdEMAMix(0.1, beta_1=0.0)
    replay(optimizer, {"p": np.ones(3)}, {"p": np.ones((1, 3))})
    assert sum(v.shape == (3,) for v in optimizer.variables) == 2
