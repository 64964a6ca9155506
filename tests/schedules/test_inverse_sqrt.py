"""InverseSqrt against Hugging Face's get_inverse_sqrt_schedule."""

import numpy as np

from tfopt.schedules import InverseSqrt


def test_follows_hugging_face(follows):
    follows(InverseSqrt(0.1, warmup_steps=9), "hf.get_inverse_sqrt_schedule")
    follows(InverseSqrt(0.1, warmup_steps=9, timescale=4), "hf.get_inverse_sqrt_schedule.timescale")
    follows(InverseSqrt(0.1, warmup_steps=0), "hf.get_inverse_sqrt_schedule.no_warmup")


def test_begins_where_asked():
    schedule = InverseSqrt(0.1, warmup_steps=10, initial_learning_rate=0.02)
    np.testing.assert_allclose(schedule(np.array([0, 5, 10, 40])), [0.02, 0.06, 0.1, 0.05], rtol=1e-6)
