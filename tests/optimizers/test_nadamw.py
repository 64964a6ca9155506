"""NadamW in NumPy; optax's figures stand in test_references.py."""

import keras
import numpy as np
import pytest

from tfopt.optimizers import NadamW


def reference(p, gradients, lr, b1, b2, eps, wd, ahead):
    m, v = np.zeros_like(p), np.zeros_like(p)
    path = [p]
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        n = b1 * m / (1 - b1 ** (t + 1 if ahead else t)) + (1 - b1) * g / (1 - b1**t)
        p = p - lr * (n / (np.sqrt(v / (1 - b2**t)) + eps) + wd * p)
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize(
    ("b1", "b2", "eps", "wd"), [(0.9, 0.999, 1e-8, 0.0), (0.5, 0.9, 1e-3, 0.3), (0.0, 0.0, 1e-8, 0.1)]
)
def test_follows_the_numpy_reference(ahead, b1, b2, eps, wd, rough, replay, deviation):
    start, gradients = rough
    theirs = reference(start, gradients, 0.02, b1, b2, eps, wd, ahead)
    optimizer = NadamW(0.02, b1, b2, eps, weight_decay=wd, correct_ahead=ahead)
    assert deviation(replay(optimizer, {"p": start}, {"p": gradients})["p"], theirs) < 2e-5


def test_differs_from_kerass_nadam(rough, replay, deviation):
    """What the docstring says: Keras's momentum grows. If they agree one day, the docstring is wrong."""
    start, gradients = rough
    ours = replay(NadamW(0.02), {"p": start}, {"p": gradients})
    kerass = replay(keras.optimizers.Nadam(0.02, epsilon=1e-8), {"p": start}, {"p": gradients})
    assert deviation(ours["p"], kerass["p"]) > 1e-2
