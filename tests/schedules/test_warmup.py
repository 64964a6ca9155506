"""Warmup against Hugging Face's and optax's schedules with a warm-up."""

import keras
import numpy as np

from tfopt.schedules import CosineRestarts, Exponential, Linear, Polynomial, Sequence, Warmup, WarmupCosine


def test_follows_hugging_face(follows):
    linear = Warmup(Linear(0.1, decay_steps=44), warmup_steps=6)
    follows(linear, "hf.get_linear_schedule_with_warmup")
    polynomial = Polynomial(0.1, decay_steps=44, power=2.5, final_learning_rate=1e-3)
    follows(Warmup(polynomial, warmup_steps=6), "hf.get_polynomial_decay_schedule_with_warmup")
    cosine = WarmupCosine(0.1, warmup_steps=6, total_steps=60)
    follows(cosine, "hf.get_cosine_schedule_with_warmup")
    restarts = CosineRestarts(0.1, first_decay_steps=15, t_mul=1)
    follows(Warmup(restarts, warmup_steps=6), "hf.get_cosine_with_hard_restarts_schedule_with_warmup")
    constant = Warmup(Sequence([0.1], milestones=[]), warmup_steps=6)
    follows(constant, "hf.get_constant_schedule_with_warmup")


def test_follows_optax(follows):
    cosine = WarmupCosine(
        0.1, warmup_steps=7, total_steps=45, initial_learning_rate=0.01, final_learning_rate=0.002
    )
    follows(cosine, "optax.warmup_cosine_decay_schedule")
    exponential = Exponential(0.1, decay_rate=0.6, decay_steps=9)
    follows(Warmup(exponential, warmup_steps=7), "optax.warmup_exponential_decay_schedule")


def test_shapes_and_the_first_rate():
    decay = keras.optimizers.schedules.PolynomialDecay(0.1, 10, end_learning_rate=0.0)
    rates = {}
    for shape in ("linear", "cosine", "1-sqrt"):
        schedule = Warmup(decay, warmup_steps=4, initial_learning_rate=0.02, shape=shape)
        rates[shape] = schedule(np.array([0, 1, 4, 9]))
    share = {"linear": 1 / 4, "cosine": (1 - np.cos(np.pi / 4)) / 2, "1-sqrt": 1 - np.sqrt(3 / 4)}
    for shape, got in rates.items():
        np.testing.assert_allclose(got, [0.02, 0.02 + 0.08 * share[shape], 0.1, 0.05], rtol=1e-6)
