"""REX against the equation of the paper."""

import numpy as np
import pytest

from tfopt.schedules import REX


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.9])
def test_follows_the_equation(beta):
    schedule = REX(0.3, decay_steps=40, beta=beta, final_learning_rate=0.01)
    z = np.minimum(np.arange(60) / 40, 1.0)
    expected = 0.01 + 0.29 * (1 - z) / ((1 - beta) + beta * (1 - z))
    np.testing.assert_allclose(schedule(np.arange(60)), expected, rtol=1e-6)


def test_beta_is_that_of_the_paper():
    z = np.arange(41) / 40
    np.testing.assert_allclose(
        REX(1.0, decay_steps=40)(np.arange(41)), (1 - z) / (1 / 2 + 1 / 2 * (1 - z)), rtol=1e-6
    )
