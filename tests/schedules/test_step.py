"""Step against torch's StepLR and MultiStepLR and optax's piecewise_constant_schedule."""

import keras
import numpy as np

from tfopt.schedules import Step


def test_follows_torch(follows):
    follows(Step(0.1, step_size=12, gamma=0.3), "torch.StepLR")
    follows(Step(0.1, milestones=[7, 20, 45], gamma=0.2), "torch.MultiStepLR")


def test_follows_optax_with_a_factor_for_each_milestone(follows):
    schedule = Step(0.1, milestones=[10, 25, 50], gamma=[0.5, 0.1, 4.0])
    follows(schedule, "optax.piecewise_constant_schedule")


def test_steps_one_update_before_keras():
    ours = Step(0.1, milestones=[7, 20])(np.arange(1, 40) - 1)
    theirs = keras.optimizers.schedules.PiecewiseConstantDecay([7, 20], [0.1, 0.01, 0.001])
    np.testing.assert_allclose(ours, [theirs(step) for step in range(1, 40)], rtol=1e-6)


def test_no_milestones_is_constant():
    np.testing.assert_allclose(Step(0.1, milestones=[])(np.arange(5)), 0.1, rtol=1e-6)
