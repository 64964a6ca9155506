"""Sequence against torch's SequentialLR and optax's join_schedules."""

import keras
import numpy as np

from tfopt.schedules import Exponential, Linear, Sequence, Step


def test_follows_torch(follows):
    parts = [0.01, Exponential(0.1, decay_rate=0.9), Step(0.1, step_size=4, gamma=0.5)]
    follows(Sequence(parts, milestones=[10, 30]), "torch.SequentialLR")


def test_follows_optax_with_a_schedule_of_keras(follows):
    cosine = keras.optimizers.schedules.CosineDecay(0.1, 20, alpha=0.1)
    parts = [Linear(0.0, decay_steps=8, final_learning_rate=0.1), cosine, 0.02]
    follows(Sequence(parts, milestones=[8, 30]), "optax.join_schedules")


def test_takes_arrays_where_keras_does_not():
    warm = keras.optimizers.schedules.CosineDecay(0.0, 20, warmup_target=0.1, warmup_steps=5)
    schedule = Sequence([warm, 0.5], milestones=[30])
    steps = np.arange(40).reshape(4, 10)
    expected = [0.5 if step >= 30 else float(warm(step)) for step in range(40)]
    np.testing.assert_allclose(schedule(steps), np.reshape(expected, (4, 10)), rtol=1e-6)
