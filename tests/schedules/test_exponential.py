"""Exponential against torch's ExponentialLR, optax's exponential_decay and Keras's ExponentialDecay."""

import keras
import numpy as np
import pytest

from tfopt.schedules import Exponential, Sequence


def test_follows_torch(follows):
    follows(Exponential(0.1, decay_rate=0.95), "torch.ExponentialLR")


def test_follows_optax(follows):
    staircase = Exponential(0.1, decay_rate=0.5, decay_steps=10, staircase=True, final_learning_rate=0.01)
    follows(staircase, "optax.exponential_decay")
    later = Sequence([0.1, Exponential(0.1, decay_rate=0.5, decay_steps=10)], milestones=[15])
    follows(later, "optax.exponential_decay.begin")
    growing = Exponential(1e-3, decay_rate=3.0, decay_steps=10, final_learning_rate=0.05)
    follows(growing, "optax.exponential_decay.growth")


@pytest.mark.parametrize("staircase", [True, False])
def test_follows_keras(staircase):
    arguments = {"decay_steps": 7, "decay_rate": 0.8, "staircase": staircase}
    theirs = keras.optimizers.schedules.ExponentialDecay(0.1, **arguments)
    np.testing.assert_allclose(Exponential(0.1, **arguments)(np.arange(50)), theirs(np.arange(50)), rtol=1e-6)
