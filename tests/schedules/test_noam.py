"""Noam against the equation of the paper."""

import numpy as np

from tfopt.schedules import Noam


def reference(number, d_model, warmup_steps):
    return d_model**-0.5 * np.minimum(number**-0.5, number * warmup_steps**-1.5)


def test_counts_from_one_as_the_paper():
    rates = Noam(512, warmup_steps=40)(np.arange(200))
    np.testing.assert_allclose(rates, reference(np.arange(1.0, 201.0), 512, 40), rtol=1e-6)
    assert np.argmax(rates) == 39


def test_counts_from_zero_as_the_annotated_transformer():
    rates = Noam(64, warmup_steps=10, scale=2.0, first_step=0)(np.arange(50))
    numbers = np.maximum(np.arange(50.0), 1)
    np.testing.assert_allclose(rates, 2 * reference(numbers, 64, 10), rtol=1e-6)
