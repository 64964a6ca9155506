"""A ratio of times is measured in rounds until it is steady, on clocks that are faked."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfopt.errors import InvalidArgumentError
from tfopt.measure.latency import Latency
from tfopt.measure.steady_ratio import steady_ratio

CONTENTS = {b"original": 2e-3, b"file": 1e-3}


class Clock:
    """Measures `CONTENTS`, each with an error of its own in each round; what runs first is slower."""

    def __init__(self, seed, noise, first):
        self.random, self.noise, self.first = np.random.default_rng(seed), noise, first
        self.calls = 0

    def __call__(self, files):
        self.calls += 1
        seconds = {
            name: CONTENTS[content] * np.exp(self.noise * self.random.standard_normal())
            for name, content in files.items()
        }
        baseline = next(iter(files))
        seconds[baseline] *= 1 + self.first
        return {
            name: Latency(
                median_seconds=each,
                low_seconds=each,
                high_seconds=each,
                ratio=each / seconds[baseline],
                calls=1,
            )
            for name, each in seconds.items()
        }


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.04), st.floats(0, 0.1))
def test_the_ratio_is_within_a_few_standard_errors(seed, noise, first):
    clock = Clock(seed, noise, first)
    found = steady_ratio(b"original", b"file", measure=clock)
    assert clock.calls == 2 * found.rounds
    assert abs(found.ratio / 0.5 - 1) < 8 * noise / np.sqrt(found.rounds) + 1e-9
    assert found.rounds == 40 or found.error <= 0.005


def test_what_is_steady_takes_few_rounds_and_what_is_not_takes_more():
    steady = steady_ratio(b"original", b"file", measure=Clock(0, 0.001, 0.05))
    unsteady = steady_ratio(b"original", b"file", measure=Clock(0, 0.1, 0.05))
    assert (steady.rounds, unsteady.rounds) == (8, 40)
    assert steady.ratio == pytest.approx(0.5, rel=0.005)
    assert steady.seconds == pytest.approx(1e-3, rel=0.05)
    assert unsteady.error > 0.005 > steady.error


def test_what_takes_long_takes_fewer_rounds(monkeypatch):
    now = iter(range(0, 10_000, 5))  # a look at the clock every five seconds
    monkeypatch.setattr("tfopt.measure.steady_ratio.time.monotonic", lambda: next(now))
    assert steady_ratio(b"original", b"file", measure=Clock(0, 0.001, 0.05)).rounds == 4
    assert steady_ratio(b"original", b"file", measure=Clock(0, 0.1, 0.05)).rounds == 12


def test_a_file_that_cannot_be_run_is_refused():
    with pytest.raises(InvalidArgumentError, match="cannot run the file 'original'"):
        steady_ratio(b"no file", b"no file")
