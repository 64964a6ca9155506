"""FactoredAdam against its paper in NumPy; torch's figures stand in test_references.py."""

import math

import keras
import numpy as np
import pytest

from tfopt.optimizers import FactoredAdam

OPTIONS = [
    {},
    {"clip_threshold": 0.3, "epsilon_2": 0.9, "beta_2_decay": -0.5, "weight_decay": 0.3},
    {"relative_step": False, "scale_parameter": False, "clip_threshold": None, "beta_1": 0.9},
    {"learning_rate": 0.5, "epsilon_1": 1e-3},
]


def reference(
    p,
    gradients,
    learning_rate=0.01,
    beta_1=0.0,
    beta_2_decay=-0.8,
    epsilon_1=1e-30,
    epsilon_2=1e-3,
    clip_threshold=1.0,
    relative_step=True,
    scale_parameter=True,
    weight_decay=0.0,
):
    """Algorithms 4 and 5 of the paper, a matrix after the other where there are more than two axes."""

    def rms(x):
        return np.sqrt(np.mean(x**2))

    v, m, path = 0.0, np.zeros_like(p), [p]
    rows = columns = 0.0
    for t, g in enumerate(gradients, start=1):
        kept = 1 - t**beta_2_decay
        square = g**2 + epsilon_1
        if p.ndim < 2:
            v = kept * v + (1 - kept) * square
        else:
            rows = kept * rows + (1 - kept) * square.sum(axis=-1)
            columns = kept * columns + (1 - kept) * square.sum(axis=-2)
            v = rows[..., :, None] * columns[..., None, :] / rows.sum(axis=-1)[..., None, None]
        u = g / np.sqrt(v)
        if clip_threshold:
            u = u / max(1, rms(u) / clip_threshold)
        rate = min(learning_rate, 1 / np.sqrt(t)) if relative_step else learning_rate
        change = rate * (max(rms(p), epsilon_2) if scale_parameter else 1.0) * u
        m = beta_1 * m + (1 - beta_1) * change
        p = p - m - learning_rate * weight_decay * p
        path.append(p)
    return np.stack(path)


@pytest.mark.parametrize("options", OPTIONS)
def test_follows_the_numpy_reference(options, replay, deviation):
    """Vectors that are joined, a matrix and a convolution."""
    random = np.random.default_rng(0)
    shapes = {"bias": (3,), "gain": (5,), "kernel": (4, 3), "conv": (2, 2, 3, 4)}
    start = {name: random.normal(size=shape) for name, shape in shapes.items()}
    gradients = {name: random.normal(size=(12, *shape)) for name, shape in shapes.items()}
    gradients["kernel"] *= np.array([1e-3, 1.0, 1e2])
    gradients["conv"][6] *= 50
    gradients["bias"][5:, 1] = 0
    ours = replay(FactoredAdam(**options), start, gradients)
    for name in shapes:
        theirs = reference(start[name], gradients[name], **options)
        assert deviation(ours[name], theirs) < 3e-5, name


def test_tiny_gradients_stay_finite(replay):
    """The product of a row's and a column's average square is no float32 any more."""
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=(4, 3)), 1e-14 * random.normal(size=(5, 4, 3))
    gradients[:, 1] = 0
    path = replay(FactoredAdam(), {"p": start}, {"p": gradients})["p"]
    assert np.isfinite(path).all()
    np.testing.assert_allclose(path, reference(start, gradients), atol=1e-6)
    np.testing.assert_array_equal(path[:, 1], path[:1, 1].repeat(6, axis=0))


@pytest.mark.parametrize(("beta_1", "bound"), [(0.0, 0.03), (0.9, 4.03)])
def test_bytes_of_state(beta_1, bound):
    shapes = [(1000, 700), (700,), (3, 3, 64, 128), (128,)]
    variables = [keras.Variable(np.zeros(shape, "float32")) for shape in shapes]
    optimizer = FactoredAdam(beta_1=beta_1)
    optimizer.build(variables)
    state = sum(4 * math.prod(v.shape) for v in optimizer.variables if v.shape)
    assert state / sum(math.prod(shape) for shape in shapes) < bound
