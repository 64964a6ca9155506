"""LARS in NumPy; optax's figures stand in test_references.py."""

import keras
import numpy as np
import pytest

from tfopt.optimizers import LARS
from tfopt.optimizers._core import group


def reference(p, gradients, lr, momentum, trust, eps, wd, nesterov, separate, adapts=True):
    """Algorithm 1 of the paper, and optax's norm of the sum, plainly: of one variable."""
    v = np.zeros_like(p)
    path = [p]
    for g in gradients:
        u, size = g + wd * p, np.linalg.norm(p)
        pull = np.linalg.norm(g) + wd * size if separate else np.linalg.norm(u)
        ratio = trust * size / (pull + eps) if adapts and size > 0 and pull > 0 else 1.0
        v = momentum * v + lr * ratio * u
        p = p - (momentum * v + lr * ratio * u if nesterov else v)
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize("joined_below", [0, 10**9])
@pytest.mark.parametrize("separate", [True, False])
@pytest.mark.parametrize(
    ("momentum", "trust", "eps", "wd", "nesterov"),
    [(0.9, 0.01, 0.0, 0.0, False), (0.5, 0.1, 1e-2, 0.3, True), (0.0, 0.02, 1e-6, 0.01, False)],
)
def test_follows_the_numpy_reference(
    momentum, trust, eps, wd, nesterov, separate, joined_below, rough, replay, deviation, monkeypatch
):
    monkeypatch.setattr(group, "JOINED_BELOW", joined_below)
    start, gradients = rough
    start = {"p": start, "zeros": np.zeros(3), "still": start[1]}
    gradients = {"p": gradients, "zeros": gradients[:, 1], "still": np.zeros((25, 3))}
    figures = (momentum, trust, eps, wd, nesterov, separate)
    ours = replay(LARS(0.5, *figures), start, gradients)
    for name in start:
        theirs = reference(start[name], gradients[name], 0.5, *figures)
        # `still` may not move at all.
        error = np.abs(ours[name] - theirs).max()
        assert error <= max(5e-5 * np.abs(theirs - theirs[0]).max(), 1e-6)


@pytest.mark.parametrize("joined_below", [0, 10**9])
def test_adapts_only_what_is_not_excluded(joined_below, monkeypatch):
    monkeypatch.setattr(group, "JOINED_BELOW", joined_below)
    kernel = keras.Variable(np.full((2, 2), 3.0), name="kernel")
    bias = keras.Variable(np.full(2, 3.0), name="bias")
    optimizer = LARS(0.1, exclude_from_layer_adaptation=["bias"])
    optimizer.build([kernel, bias])
    optimizer.apply([np.full((2, 2), 5.0, "float32"), np.full(2, 5.0, "float32")])
    np.testing.assert_allclose(kernel.numpy(), 3 - 0.1 * 0.001 * 3, rtol=1e-6)
    np.testing.assert_allclose(bias.numpy(), 3 - 0.1 * 5, rtol=1e-6)
