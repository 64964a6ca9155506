"""Chain against torch's ChainedScheduler."""

import keras
import numpy as np

from tfopt.schedules import Chain, Exponential, Linear, Step


def test_follows_torch(follows):
    parts = [
        Linear(0.025, decay_steps=12, final_learning_rate=0.1),
        Exponential(1.0, decay_rate=0.97),
        Step(1.0, milestones=[20, 40], gamma=0.5),
    ]
    follows(Chain(parts), "torch.ChainedScheduler")


def test_multiplies_schedules_of_keras_and_numbers():
    decay = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    np.testing.assert_allclose(Chain([decay, 0.3])(np.array([0, 10])), [0.03, 0.015], rtol=1e-6)
