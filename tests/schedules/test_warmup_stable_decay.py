"""WarmupStableDecay against Hugging Face's get_wsd_schedule."""

import numpy as np
import pytest

from tfopt.schedules import WarmupStableDecay

SHAPES = ["linear", "cosine", "1-sqrt"]


@pytest.mark.parametrize("warmup", SHAPES)
@pytest.mark.parametrize("decay", SHAPES)
def test_follows_hugging_face(follows, warmup, decay):
    schedule = WarmupStableDecay(
        0.1,
        warmup_steps=8,
        decay_steps=17,
        total_steps=50,
        warmup=warmup,
        decay=decay,
        final_learning_rate=0.005,
    )
    follows(schedule, f"hf.get_wsd_schedule.{warmup}.{decay}")


def test_begins_where_asked_and_may_have_no_constant_phase():
    schedule = WarmupStableDecay(
        0.4, warmup_steps=4, decay_steps=4, total_steps=8, decay="linear", initial_learning_rate=0.2
    )
    np.testing.assert_allclose(
        schedule(np.arange(10)), [0.2, 0.25, 0.3, 0.35, 0.4, 0.3, 0.2, 0.1, 0, 0], rtol=1e-6, atol=1e-9
    )
