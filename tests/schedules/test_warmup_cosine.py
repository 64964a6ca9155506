"""WarmupCosine against optax 0.2.8's warmup_cosine_decay_schedule."""

from pathlib import Path

import numpy as np

from tfopt.schedules import WarmupCosine

FIGURES = Path(__file__).parent / "golden" / "warmup-cosine_optax.npz"


def test_follows_optax():
    figures = np.load(FIGURES)
    schedule = WarmupCosine(
        0.1, warmup_steps=10, total_steps=100, initial_learning_rate=0.0, final_learning_rate=0.001
    )
    ours = np.array([schedule(int(step)) for step in figures["step"]])
    assert np.abs(ours - figures["lr"]).max() < 1e-7


def test_starts_where_asked_and_stays_at_the_end():
    schedule = WarmupCosine(
        0.1, warmup_steps=4, total_steps=8, initial_learning_rate=0.02, final_learning_rate=0.01
    )
    np.testing.assert_allclose(
        schedule(np.array([0, 2, 4, 6, 8, 9, 1000])), [0.02, 0.06, 0.1, 0.055] + [0.01] * 3
    )


def test_without_warmup_starts_at_the_peak():
    schedule = WarmupCosine(0.1, warmup_steps=0, total_steps=8)
    np.testing.assert_allclose(schedule(np.array([0, 4, 8])), [0.1, 0.05, 0.0], atol=1e-9)


def test_counts_far():
    schedule = WarmupCosine(1.0, warmup_steps=1_000_000, total_steps=10_000_000)
    np.testing.assert_allclose(schedule(np.array([1, 500_000, 5_500_000])), [1e-6, 0.5, 0.5], rtol=1e-6)
