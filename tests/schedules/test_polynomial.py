"""Polynomial against torch's PolynomialLR, optax's polynomial_schedule and Keras's PolynomialDecay."""

import keras
import numpy as np

from tfopt.schedules import Polynomial


def test_follows_torch(follows):
    follows(Polynomial(0.1, decay_steps=50, power=0.9), "torch.PolynomialLR")


def test_follows_optax(follows):
    schedule = Polynomial(0.1, decay_steps=40, power=3, final_learning_rate=0.004)
    follows(schedule, "optax.polynomial_schedule")


def test_follows_keras():
    theirs = keras.optimizers.schedules.PolynomialDecay(0.1, 30, end_learning_rate=0.01, power=2.0)
    ours = Polynomial(0.1, decay_steps=30, power=2.0, final_learning_rate=0.01)
    np.testing.assert_allclose(ours(np.arange(40)), theirs(np.arange(40)), rtol=1e-6)
