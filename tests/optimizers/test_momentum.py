"""Momentum in NumPy; figures of optimi and optax stand in test_references.py."""

import keras
import numpy as np
import pytest

from tfopt.optimizers import Momentum


def reference(p, gradients, lr, momentum, debias, wd, decoupled):
    m = np.zeros_like(p)
    path = [p]
    for t, g in enumerate(gradients, start=1):
        m = momentum * m + (1 - momentum) * (g if decoupled else g + wd * p)
        p = p - lr * m / (1 - momentum**t if debias else 1) - (lr * wd * p if decoupled else 0.0)
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize("debias", [True, False])
@pytest.mark.parametrize("decoupled", [True, False])
@pytest.mark.parametrize(("momentum", "wd"), [(0.9, 0.0), (0.99, 0.3), (0.0, 0.3)])
def test_follows_the_numpy_reference(debias, decoupled, momentum, wd, rough, replay, deviation):
    start, gradients = rough
    theirs = reference(start, gradients, 0.1, momentum, debias, wd, decoupled)
    optimizer = Momentum(0.1, momentum, debias, weight_decay=wd, decoupled_weight_decay=decoupled)
    assert deviation(replay(optimizer, {"p": start}, {"p": gradients})["p"], theirs) < 2e-5


def test_is_kerass_heavy_ball_at_a_tenth_of_the_rate(rough, replay, deviation):
    start, gradients = rough
    ours = replay(Momentum(0.1), {"p": start}, {"p": gradients})
    kerass = replay(keras.optimizers.SGD(0.01, momentum=0.9), {"p": start}, {"p": gradients})
    assert deviation(ours["p"], kerass["p"]) < 2e-5
