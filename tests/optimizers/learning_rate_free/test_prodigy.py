"""Prodigy against the authors' algorithm in NumPy; their figures stand in test_references.py too."""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfopt.optimizers import Prodigy
from tfopt.optimizers._core import group

GOLDEN = Path(__file__).parents[1] / "golden"


def reference(
    start, gradients, rates, b1, b2, b3, eps, wd, decouple, bias, safeguard, d0, coefficient, growth
):
    """The authors' step on a dict of parameters; `d` after each step beside the path."""
    p, p0 = dict(start), start
    m, v, s = ({n: np.zeros_like(x) for n, x in p.items()} for _ in range(3))
    d = d_max = d0
    r, k, path, distances = 0.0, 0, [dict(p)], []
    for t, lr in enumerate(rates):
        g = {n: x[t] for n, x in gradients.items()}
        if not decouple:
            g = {n: x + wd * p[n] for n, x in g.items()}
        if lr > 0 and (any(np.any(x) for x in g.values()) or any(np.any(x) for x in s.values())):
            dlr = d * lr * (np.sqrt(1 - b2 ** (k + 1)) / (1 - b1 ** (k + 1)) if bias else 1)
            r = b3 * r + sum(d / d0 * dlr * np.vdot(g[n], p0[n] - p[n]) for n in p)
            for n in p:
                m[n] = b1 * m[n] + d * (1 - b1) * g[n]
                v[n] = b2 * v[n] + d * d * (1 - b2) * g[n] ** 2
                s[n] = b3 * s[n] + d / d0 * (d if safeguard else dlr) * g[n]
            d_hat = coefficient * r / sum(np.abs(x).sum() for x in s.values())
            if d == d0:
                d = max(d, d_hat)
            d_max = max(d_max, d_hat)
            d = min(d_max, d * growth)
            for n in p:
                numerator = m[n] if b1 else d * g[n]
                change = dlr * numerator / (np.sqrt(v[n]) + d * eps) + (decouple and dlr * wd) * p[n]
                p[n] = p[n] - change
            k += 1
        path.append(dict(p))
        distances.append(d)
    return {n: np.stack([x[n] for x in path]) for n in start}, np.array(distances)


DEFAULTS = {
    "b1": 0.9, "b2": 0.999, "b3": 0.999**0.5, "eps": 1e-8, "wd": 0.0, "decouple": True, "bias": False,
    "safeguard": False, "d0": 0.01, "coefficient": 1.0, "growth": np.inf,
}  # fmt: skip
NAMES = {
    "b1": "beta_1", "b2": "beta_2", "b3": "beta_3", "eps": "epsilon", "wd": "weight_decay",
    "decouple": "decouple", "bias": "bias_correction", "safeguard": "safeguard_warmup",
    "d0": "initial_distance",
    "coefficient": "distance_coefficient", "growth": "growth_rate",
}  # fmt: skip
CASES = [
    {},
    {"bias": True, "wd": 0.3},
    {"b1": 0.5, "b2": 0.9, "b3": 0.8, "eps": 1e-3, "safeguard": True},
    {"growth": 1.02, "coefficient": 2.0, "d0": 1e-3},
    {"wd": 0.5, "decouple": False, "bias": True},
    {"b1": 0.0, "growth": 1.1, "d0": 1e-3},
]
WARMUP = [0.0, 0.25, 0.5, 0.75, *[1.0] * 21]


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    def __call__(self, step):
        return keras.ops.take(np.float32(WARMUP), keras.ops.minimum(step, 24))


@pytest.fixture
def problem():
    """Gradients of a quadratic along some path, with zeros in one parameter, and all zero at first."""
    random = np.random.default_rng(0)
    start = {"w": random.normal(size=(4, 3)), "b": random.normal(size=5)}
    gradients = {n: random.normal(size=(25, *x.shape)) + 2 * x for n, x in start.items()}
    gradients["w"] *= np.array([1e-3, 1.0, 30.0])
    gradients["b"][5:9] = 0
    for each in gradients.values():
        each[0] = 0
    return start, gradients


@pytest.mark.parametrize("options", CASES)
@pytest.mark.parametrize("rate", [1.0, "warm-up"])
@pytest.mark.parametrize("joined", [True, False])
def test_follows_the_numpy_reference(options, rate, joined, problem, replay, deviation, monkeypatch):
    monkeypatch.setattr(group, "JOINED_BELOW", 10**9 if joined else 0)
    start, gradients = problem
    rates = WARMUP if rate == "warm-up" else [1.0] * 25
    options = {**DEFAULTS, **options}
    theirs, distances = reference(start, gradients, rates, **options)
    optimizer = Prodigy(
        Schedule() if rate == "warm-up" else 1.0, **{NAMES[n]: value for n, value in options.items()}
    )
    assert optimizer.distance == options["d0"]
    ours = replay(optimizer, start, gradients)
    for n in start:
        assert deviation(ours[n], theirs[n]) < 2e-5
    assert distances[-1] > options["d0"]
    assert optimizer.distance == pytest.approx(distances[-1], rel=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["prodigy", "prodigy-wd-bc"])
def test_distance_is_that_of_the_authors(name, dtype, replay):
    figures = np.load(GOLDEN / f"{name}_author.npz")
    arguments = {"prodigy": {}, "prodigy-wd-bc": {"initial_distance": 0.01, "bias_correction": True}}[name]
    optimizer = Prodigy(weight_decay=0.1 if "wd" in name else None, **arguments)
    replay(optimizer, {"W": figures["quadmat/W"][0]}, {"W": figures["quadmat/grad/W"]}, dtype)
    assert optimizer.distance == pytest.approx(figures["quadmat/aux/d"][-1], rel=1e-6)


def test_estimates_one_distance_for_all_variables(replay):
    """Two halves of a parameter move as the whole does."""
    random = np.random.default_rng(1)
    start, gradients = random.normal(size=6), random.normal(size=(15, 6)) + 1
    whole = replay(Prodigy(initial_distance=0.01), {"p": start}, {"p": gradients})["p"]
    halves = replay(
        Prodigy(initial_distance=0.01),
        {"a": start[:2], "b": start[2:]},
        {"a": gradients[:, :2], "b": gradients[:, 2:]},
    )
    np.testing.assert_allclose(np.concatenate([halves["a"], halves["b"]], axis=1), whole, rtol=1e-6)


def test_finds_a_distance_of_the_right_order():
    """On |x - 5| from 0 the distance is 5; the estimate is a lower bound that gets near it."""
    variable, optimizer = keras.Variable([0.0]), Prodigy()
    optimizer.build([variable])
    for _ in range(200):
        optimizer.apply([keras.ops.sign(variable - 5.0)])
    assert 0.5 < optimizer.distance < 10
    assert abs(float(variable[0]) - 5) < 2
