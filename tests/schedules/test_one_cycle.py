"""OneCycle against torch's OneCycleLR and optax's cosine_onecycle_schedule."""

import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.schedules import OneCycle

CASES = {
    "torch.OneCycleLR.cos": {},
    "torch.OneCycleLR.cos.three_phase": {"three_phase": True},
    "torch.OneCycleLR.linear": {"anneal": "linear"},
    "torch.OneCycleLR.linear.three_phase": {"anneal": "linear", "three_phase": True},
}


@pytest.mark.parametrize("case", CASES)
def test_follows_torch(follows, case):
    schedule = OneCycle(
        0.5, total_steps=60, pct_start=0.35, div_factor=10, final_div_factor=100, **CASES[case]
    )
    follows(schedule, case)
    follows(schedule.momentum(0.95, 0.85), f"{case}.momentum")


def test_defaults_are_those_of_torch(follows):
    follows(OneCycle(1.0, total_steps=60), "torch.OneCycleLR.defaults")


def test_follows_optax(follows):
    follows(OneCycle(0.5, total_steps=51, pct_start=16 / 51), "optax.cosine_onecycle_schedule")


def test_stays_at_the_end():
    schedule = OneCycle(1.0, total_steps=10)
    np.testing.assert_allclose(schedule(np.array([9, 10, 1000])), 1 / 25 / 1e4, rtol=1e-6)


@pytest.mark.parametrize(
    ("momenta", "message"),
    [
        ((1.0, 0.85), "max_momentum to be a finite number in"),
        ((0.95, 0.0), "base_momentum to be a finite number in"),
        ((0.8, 0.9), "base_momentum <= max_momentum"),
    ],
)
def test_bad_momentum(momenta, message):
    with pytest.raises(InvalidArgumentError, match=message):
        OneCycle(1.0, total_steps=10).momentum(*momenta)
