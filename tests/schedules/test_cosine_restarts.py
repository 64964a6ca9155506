"""CosineRestarts against torch's CosineAnnealingWarmRestarts and Keras's CosineDecayRestarts."""

import keras
import numpy as np
import pytest

from tfopt.schedules import CosineRestarts


@pytest.mark.parametrize(("t_0", "t_mul"), [(7, 1), (5, 2), (3, 3)])
def test_follows_torch(follows, t_0, t_mul):
    schedule = CosineRestarts(0.1, first_decay_steps=t_0, t_mul=t_mul, final_learning_rate=0.002)
    follows(schedule, f"torch.CosineAnnealingWarmRestarts.{t_0}.{t_mul}")


def test_follows_keras_where_peaks_decay():
    steps = np.arange(60)
    theirs = keras.optimizers.schedules.CosineDecayRestarts(0.1, 6, t_mul=1.5, m_mul=0.7, alpha=0.2)
    ours = CosineRestarts(0.1, first_decay_steps=6, t_mul=1.5, m_mul=0.7, final_learning_rate=0.02)
    np.testing.assert_allclose(ours(steps), [theirs(step) for step in steps], rtol=1e-5)


@pytest.mark.parametrize(("t_0", "t_mul"), [(1, 2), (7, 2), (1000, 2), (3, 3), (999, 7), (10, 10)])
def test_every_restart_is_at_its_step(t_0, t_mul):
    count = int(np.log(1e8 / t_0) / np.log(t_mul))
    restarts = np.array([t_0 * (t_mul**i - 1) // (t_mul - 1) for i in range(count)])
    schedule = CosineRestarts(1.0, first_decay_steps=t_0, t_mul=t_mul)
    np.testing.assert_array_equal(schedule(restarts), 1.0)
    lengths = np.diff(restarts)
    before = (1 + np.cos(np.pi * (lengths - 1) / lengths)) / 2
    np.testing.assert_allclose(schedule(restarts[1:] - 1), before, rtol=1e-5, atol=1e-12)
