"""Choices are tried until the measured cost meets the limit, however wrong the predictions are."""

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tfopt.budgets.attempts import NEAR, Attempt, best_attempt
from tfopt.budgets.correction import Correction
from tfopt.errors import GoalError

WHOLE = 100


def _search(limits, cost, *, step=1, attempts=None):
    """Return the best number up to `WHOLE` in steps, predicted to cost itself, in fact `cost` of it."""

    def propose(aims, _):
        number = max(step, int(min(aims.values()) // step) * step)
        return Attempt(choice=number, key=number, predicted=dict.fromkeys(limits, float(number)))

    def measured(number):
        if attempts is not None:
            attempts.append(number)
        return {name: cost(number) for name in limits}

    whole = dict.fromkeys(limits, float(WHOLE))
    correction = Correction(limits, whole, {name: cost(WHOLE) for name in limits})
    best = best_attempt(correction, propose, measured, what="numbers")
    return best.choice, best.costs


@pytest.mark.parametrize("name", ["bytes", "latency", "macs"])
@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.9])
@pytest.mark.parametrize(
    "cost",
    [
        lambda n: float(n),
        lambda n: 0.8 * n + 30,
        lambda n: 1.3 * n - 0.002 * n * n + 2,
        lambda n: float(n) if n == WHOLE else 1.15 * n,  # what is smaller costs more than it is predicted to
    ],
)
def test_a_limit_is_met_and_nearly_used(name, share, cost):
    limit = cost(1) + share * (cost(WHOLE) - cost(1))
    number, found = _search({name: limit}, cost)
    assert found == {name: cost(number)}
    assert found[name] <= limit
    assert found[name] >= NEAR * limit or cost(number + 1) > limit * 0.995


def test_what_is_counted_takes_one_attempt():
    attempts = []
    assert _search({"macs": 37.0}, float, attempts=attempts)[0] == 37
    assert attempts == [37]


def test_coarse_choices_end_with_the_best_below_the_limit():
    assert _search({"bytes": 60.0}, lambda n: 1.1 * n, step=25)[0] == 50


def test_the_tightest_of_several_limits_counts():
    number, found = _search({"bytes": 80.0, "macs": 40.0}, float)
    assert number == 40
    assert found == {"bytes": 40.0, "macs": 40.0}


def test_what_nothing_meets_is_an_error_with_the_closest():
    attempts = []
    with pytest.raises(GoalError, match=r"No numbers were found.*that were tried need bytes 51") as error:
        _search({"bytes": 50.0}, lambda n: n / 100 + 50.5, attempts=attempts)
    assert error.value.best["bytes"] == min(attempts) / 100 + 50.5


KERNEL = 8
"""Times rise at multiples of this width."""


class Files:
    """Widths from 1 to 256, whose files cost other than is predicted, and time that rises in steps.

    Args:
        seed: of what the files cost beside what is predicted.
        noise: the largest error of a measured time, as a share.
        limits: metric -> share of what the whole costs.
    """

    def __init__(self, seed, noise, limits):
        self.random, self.noise = random.Random(seed), noise
        self.power, self.rest = self.random.uniform(0.6, 1.4), self.random.uniform(0, 0.15)
        self.header = self.random.uniform(0, 0.1)
        self.limits = {name: share * self.costs(256)[name] for name, share in limits.items()}

    def predicted(self, width):
        share = width / 256
        return {name: {"bytes": 1e6 * share**2, "latency": 1e-3 * share}[name] for name in self.limits}

    def costs(self, width):
        share, stepped = width / 256, math.ceil(width / KERNEL) * KERNEL / 256
        return {
            "bytes": round(1e6 * (share**2 + self.header)),
            "latency": 1e-3 * (stepped**self.power * (1 - self.rest) + self.rest),
        }

    def measured(self, width):
        found = {name: cost for name, cost in self.costs(width).items() if name in self.limits}
        if "latency" in found:
            found["latency"] *= 1 + self.random.uniform(-self.noise, self.noise)
        return found

    def propose(self, aims, near):
        """Return the widest that fits the aims: a multiple of 32, or finer where that is not near enough."""
        fits = [n for n in range(1, 257) if all(cost <= aims[k] for k, cost in self.predicted(n).items())]
        widest = max(fits, default=1)
        for step in (32, 16, 8, 4, 2, 1):
            width = max(widest // step * step, 1)
            if max(cost / aims[name] for name, cost in self.predicted(width).items()) >= near:
                break
        return Attempt(choice=width, key=width, predicted=self.predicted(width))

    def best(self):
        correction = Correction(self.limits, self.predicted(256), self.costs(256))
        return best_attempt(correction, self.propose, self.measured, what="widths")


@settings(deadline=None, max_examples=300)
@example(100_000, 0.0, ("bytes", "latency"), 0.5, 0.3359375)  # eight attempts stayed on one step of the time
@given(
    st.integers(0, 100_000),
    st.sampled_from([0.0, 0.002, 0.005]),
    st.sampled_from([("bytes",), ("latency",), ("bytes", "latency")]),
    st.floats(0.3, 0.9),
    st.floats(0.3, 0.9),
)
def test_all_limits_are_met_and_one_is_nearly_used_or_the_note_says_why(seed, noise, names, one, other):
    files = Files(seed, noise, dict(zip(names, (one, other), strict=False)))
    best = files.best()
    usage = {name: files.costs(best.choice)[name] / limit for name, limit in files.limits.items()}
    assert max(usage.values()) <= 1
    assert (max(usage.values()) >= NEAR - noise) != bool(best.note) or noise
    if best.note:
        # Whatever is a kernel's step wider costs too much, or so much that an error of the clock decides.
        wider = files.costs(min(best.choice + 2 * KERNEL, 256))
        assert any(wider[name] > limit * (0.995 - noise) for name, limit in files.limits.items())
        assert "of the budget" in best.note
