"""RAdam's rectification, against the formulas of the paper in NumPy."""

import numpy as np
import pytest
import tensorflow as tf

from tfopt.optimizers._core.group import UpdateStep
from tfopt.optimizers._core.rectification import rectification


@pytest.mark.parametrize("number", [1, 5, 6, 7, 100, 100_000])
@pytest.mark.parametrize("beta_2", [0.9, 0.999])
def test_it_is_algorithm_2_of_the_paper(beta_2, number):
    longest = 2 / (1 - beta_2) - 1
    length = longest - 2 * number * beta_2**number / (1 - beta_2**number)
    tractable, factor = rectification(
        UpdateStep(tf.constant(number), tf.constant(0.1), "float32"), beta_2, "float32"
    )
    assert bool(tractable) == (length >= 5)
    share = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    np.testing.assert_allclose(factor, np.sqrt(share) if length >= 5 else 1.0, rtol=1e-6)


def test_short_averages_are_never_trusted():
    tractable, factor = rectification(
        UpdateStep(tf.constant(1000), tf.constant(0.1), "float32"), 0.5, "float32"
    )
    assert not tractable
    assert factor == 1
