"""Cyclic against torch's CyclicLR."""

import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.schedules import Cyclic


@pytest.mark.parametrize("mode", ["triangular", "triangular2", "exp_range"])
def test_follows_torch(follows, mode):
    gamma = 0.97 if mode == "exp_range" else 1.0
    schedule = Cyclic(0.01, 0.1, step_size_up=5, step_size_down=8, mode=mode, gamma=gamma)
    follows(schedule, f"torch.CyclicLR.{mode}")
    follows(schedule.momentum(0.9, 0.8), f"torch.CyclicLR.{mode}.momentum")


def test_both_halves_are_equally_long_by_default():
    rates = Cyclic(0.0, 1.0, step_size_up=4)(np.arange(9))
    np.testing.assert_allclose(rates, [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0])


def test_counts_beyond_what_float32_can():
    begin = 10 * 2**26
    rates = Cyclic(0.0, 1.0, step_size_up=5)(begin + np.arange(6))
    np.testing.assert_allclose(rates, [0, 0.2, 0.4, 0.6, 0.8, 1], rtol=1e-6)


@pytest.mark.parametrize(
    ("momenta", "message"),
    [
        ((1.0, 0.85), "max_momentum to be a finite number in"),
        ((0.95, -0.1), "base_momentum to be a finite number in"),
        ((0.8, 0.9), "base_momentum <= max_momentum"),
    ],
)
def test_bad_momentum(momenta, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Cyclic(0.0, 1.0, step_size_up=4).momentum(*momenta)
