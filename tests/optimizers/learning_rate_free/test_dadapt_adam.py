"""DAdaptAdam against the authors' algorithm in NumPy; their figures stand in test_references.py."""

import keras
import numpy as np
import pytest

from tfopt.optimizers import DAdaptAdam
from tfopt.optimizers._core import group


def reference(start, gradients, rates, b1, b2, eps, wd, decouple, bias, d0, growth):
    """The authors' step on a dict of parameters; `d` after each step beside the path."""
    p = dict(start)
    m, v, s = ({n: np.zeros_like(x) for n, x in p.items()} for _ in range(3))
    d, b = d0, np.sqrt(b2)
    r, k, path, distances = 0.0, 0, [dict(p)], []
    for t, lr in enumerate(rates):
        g = {n: x[t] for n, x in gradients.items()}
        if not decouple:
            g = {n: x + wd * p[n] for n, x in g.items()}
        if lr > 0 and (any(np.any(x) for x in g.values()) or any(np.any(x) for x in s.values())):
            dlr = d * lr * (np.sqrt(1 - b2 ** (k + 1)) / (1 - b1 ** (k + 1)) if bias else 1)
            product = sum(dlr * np.vdot(g[n], s[n] / (np.sqrt(v[n]) + eps)) for n in p)
            for n in p:
                m[n] = b1 * m[n] + dlr * (1 - b1) * g[n]
                v[n] = b2 * v[n] + (1 - b2) * g[n] ** 2
                s[n] = b * s[n] + dlr * (1 - b) * g[n]
            r = b * r + (1 - b) * product
            d_hat = r / ((1 - b) * sum(np.abs(x).sum() for x in s.values()))
            d = max(d, min(d_hat, d * growth))
            for n in p:
                p[n] = p[n] - (decouple and dlr * wd) * p[n] - m[n] / (np.sqrt(v[n]) + eps)
            k += 1
        path.append(dict(p))
        distances.append(d)
    return {n: np.stack([x[n] for x in path]) for n in start}, np.array(distances)


DEFAULTS = {
    "b1": 0.9, "b2": 0.999, "eps": 1e-8, "wd": 0.0, "decouple": True, "bias": False, "d0": 0.01,
    "growth": np.inf,
}  # fmt: skip
NAMES = {
    "b1": "beta_1", "b2": "beta_2", "eps": "epsilon", "wd": "weight_decay", "decouple": "decouple",
    "bias": "bias_correction", "d0": "initial_distance", "growth": "growth_rate",
}  # fmt: skip
CASES = [
    {},
    {"bias": True, "wd": 0.3},
    {"b1": 0.5, "b2": 0.9, "eps": 1e-3},
    {"growth": 1.02, "d0": 0.05},
    {"wd": 0.5, "decouple": False, "bias": True},
    {"b1": 0.0, "b2": 0.5, "growth": 1.1},
]
WARMUP = [0.0, 0.25, 0.5, 0.75, *[1.0] * 21]


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return keras.ops.take(np.float32(WARMUP), keras.ops.minimum(step, 24))


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("rate", [1.0, "warm-up"])
@pytest.mark.parametrize("joined", [True, False])
def test_follows_the_numpy_reference(options, rate, joined, replay, deviation, monkeypatch):
    monkeypatch.setattr(group, "JOINED_BELOW", 10**9 if joined else 0)
    random = np.random.default_rng(0)
    start = {"w": random.normal(size=(4, 3)), "b": random.normal(size=5)}
    gradients = {n: random.normal(size=(25, *x.shape)) + 2 * x for n, x in start.items()}
    gradients["w"] *= np.array([1e-3, 1.0, 30.0])
    gradients["b"][5:9] = 0
    options = {**DEFAULTS, **options}
    rates = WARMUP if rate == "warm-up" else [1.0] * 25
    theirs, distances = reference(start, gradients, rates, **options)
    optimizer = DAdaptAdam(
        Schedule() if rate == "warm-up" else 1.0, **{NAMES[n]: value for n, value in options.items()}
    )
    assert optimizer.distance == options["d0"]
    ours = replay(optimizer, start, gradients)
    for n in start:
        assert deviation(ours[n], theirs[n]) < 2e-5
    assert distances[-1] > options["d0"]
    assert optimizer.distance == pytest.approx(distances[-1], rel=1e-5)


def test_gradients_of_zero_at_first_count_as_no_update(replay):
    random = np.random.default_rng(0)
    start, gradients = random.normal(size=4), random.normal(size=(10, 4)) + 1
    late = np.concatenate([np.zeros((3, 4)), gradients])
    plain = replay(DAdaptAdam(bias_correction=True), {"p": start}, {"p": gradients})["p"]
    waiting = replay(DAdaptAdam(bias_correction=True), {"p": start}, {"p": late})["p"]
    np.testing.assert_array_equal(waiting[3:], plain)


def test_finds_a_distance_of_the_right_order():
    """On |x - 5| from 0 the distance is 5."""
    variable, optimizer = keras.Variable([0.0]), DAdaptAdam()
    optimizer.build([variable])
    for _ in range(200):
        optimizer.apply([keras.ops.sign(variable - 5.0)])
    assert 1 < optimizer.distance < 25
    assert abs(float(variable[0]) - 5) < 2
