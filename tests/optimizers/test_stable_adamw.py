"""StableAdamW against its paper in NumPy; optimi's figures stand in test_references.py."""

import numpy as np
import pytest

from tfopt.optimizers import StableAdamW
from tfopt.optimizers._core import group


def reference(p, gradients, lr, b1, b2, eps, wd):
    """Algorithm 2 of the paper, plainly: of one variable."""
    m, v = np.zeros_like(p), np.zeros_like(p)
    path = [p]
    for t, g in enumerate(gradients, start=1):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        rate = lr / max(1, np.sqrt(np.mean(g**2 / np.maximum(v_hat, eps**2))))
        p = p - rate * (m_hat / (np.sqrt(v_hat) + eps) + wd * p)
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize("joined_below", [0, 10**9])
@pytest.mark.parametrize(
    ("b1", "b2", "eps", "wd"), [(0.9, 0.99, 1e-6, 0.01), (0.5, 0.9, 1e-3, 0.3), (0.9, 0.999, 1e-8, 0.0)]
)
def test_follows_the_numpy_reference(b1, b2, eps, wd, joined_below, rough, replay, deviation, monkeypatch):
    """The spike slows down its own variable, not the one joined with it."""
    monkeypatch.setattr(group, "JOINED_BELOW", joined_below)
    start, gradients = rough
    start = {"p": start, "q": start[0]}
    gradients = {"p": gradients, "q": np.roll(gradients[:, 0], 5, axis=0)}
    ours = replay(StableAdamW(0.02, b1, b2, eps, weight_decay=wd), start, gradients)
    for name in start:
        theirs = reference(start[name], gradients[name], 0.02, b1, b2, eps, wd)
        assert deviation(ours[name], theirs) < 2e-5
