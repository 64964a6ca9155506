"""Optimizers against figures that we did not write: the authors' code, torch, optax, optimi.

Each file of `golden/` holds 20 steps in float64 of one source on small problems: the parameters after each
step, and the gradients that it was given, which are replayed here.
"""

from pathlib import Path

import keras
import numpy as np
import pytest

from tfopt import optimizers
from tfopt.optimizers._core import group

GOLDEN = Path(__file__).parent / "golden"
# file: (optimizer, largest deviation in float32 as a share of each parameter's largest movement)
REFERENCES = {
    "adamw-cautious_author": (
        lambda: optimizers.Cautious(keras.optimizers.AdamW(0.01, weight_decay=0.0, epsilon=1e-8)),
        2e-5,
    ),
    "adamw-cautious-wd_author": (
        lambda: optimizers.Cautious(keras.optimizers.AdamW(0.01, weight_decay=0.1, epsilon=1e-8)),
        2e-5,
    ),
    "gradient-centralization_optax": (
        lambda: optimizers.GradientCentralization(keras.optimizers.SGD(0.01), unit_axis=0),
        2e-5,
    ),
    "lookahead-adam_author": (
        lambda: optimizers.Lookahead(keras.optimizers.Adam(0.01, epsilon=1e-8), 5),
        2e-5,
    ),
    "lookahead-sgdm_author": (lambda: optimizers.Lookahead(keras.optimizers.SGD(0.001, 0.9), 5), 2e-5),
    "adabelief_author": (lambda: optimizers.AdaBelief(0.01), 2e-5),
    "adabelief-eps1e-3_author": (lambda: optimizers.AdaBelief(0.01, epsilon=1e-3), 2e-5),
    "adabelief-rectify_author": (lambda: optimizers.AdaBelief(0.01, rectify=True), 2e-5),
    "adabelief-wd_author": (lambda: optimizers.AdaBelief(0.01, weight_decay=0.1), 2e-5),
    "ademamix_author": (lambda: optimizers.AdEMAMix(0.01), 2e-5),
    "ademamix-b3-0.99_optax": (lambda: optimizers.AdEMAMix(0.01, beta_3=0.99), 2e-5),
    "ademamix-wd-warmup_author": (
        lambda: optimizers.AdEMAMix(0.01, weight_decay=0.1, alpha_warmup=10, beta_3_warmup=10),
        2e-5,
    ),
    "adopt_author": (lambda: optimizers.ADOPT(0.01), 2e-5),
    # The weights move by so little that their own rounding shows.
    "lars_optax": (lambda: optimizers.LARS(0.1), 3e-5),
    "lars-wd_optax": (lambda: optimizers.LARS(0.1, weight_decay=0.01), 3e-5),
    "mars_author": (lambda: optimizers.MARS(0.01, optimize_1d=True), 2e-5),
    "mars-default1d_author": (lambda: optimizers.MARS(0.01), 2e-5),
    "mars-lion_author": (lambda: optimizers.MARS(1e-3, optimize_1d=True, mode="lion"), 1e-3),
    "mars-wd_author": (lambda: optimizers.MARS(0.01, optimize_1d=True, weight_decay=0.1), 2e-5),
    "nadamw_optax": (lambda: optimizers.NadamW(0.01, weight_decay=0.1), 2e-5),
    "dadapt-adam-bc_author": (
        lambda: optimizers.DAdaptAdam(initial_distance=0.01, bias_correction=True),
        2e-5,
    ),
    "dadapt-adam-d0-1e-6_author": (optimizers.DAdaptAdam, 2e-5),
    "prodigy_author": (optimizers.Prodigy, 2e-5),
    "prodigy-bc-d0-1e-2_author": (
        lambda: optimizers.Prodigy(initial_distance=0.01, bias_correction=True),
        2e-5,
    ),
    "prodigy-wd-bc_author": (
        lambda: optimizers.Prodigy(initial_distance=0.01, bias_correction=True, weight_decay=0.1),
        2e-5,
    ),
    "schedulefree-adamw_author": (lambda: optimizers.ScheduleFreeAdamW(0.01), 2e-5),
    "schedulefree-adamw-wd-warmup_author": (
        lambda: optimizers.ScheduleFreeAdamW(0.01, weight_decay=0.1, warmup_steps=10),
        2e-5,
    ),
    # The rectified rate is so small in these steps that the rounding of the weights shows.
    "schedulefree-radam_author": (lambda: optimizers.ScheduleFreeRAdam(0.01), 1e-4),
    "schedulefree-sgd-wd-warmup_author": (
        lambda: optimizers.ScheduleFreeSGD(0.1, weight_decay=0.01, warmup_steps=10),
        2e-5,
    ),
    "radam_author": (lambda: optimizers.RAdam(0.01), 2e-5),
    "radam-b2-0.9_torch": (lambda: optimizers.RAdam(0.01, beta_2=0.9), 2e-5),
    "radam-wd_author": (lambda: optimizers.RAdam(0.01, beta_2=0.99, weight_decay=0.1), 2e-5),
    "sgd-ema_optimi": (lambda: optimizers.Momentum(0.01), 2e-5),
    "sgd-ema-debias_optax": (lambda: optimizers.Momentum(0.01, debias=True), 2e-5),
    "stableadamw_optimi": (lambda: optimizers.StableAdamW(0.01, epsilon=1e-8), 2e-5),
    "adafactor_torch": (lambda: optimizers.FactoredAdam(0.01), 2e-5),
    "adamw_torch": (lambda: optimizers.AdamW8bit(0.01, weight_decay=0.1), 2e-5),
    "lion_author": (lambda: optimizers.Lion8bit(1e-3, weight_decay=0.1), 1e-3),
    "sgd-momentum_torch": (lambda: optimizers.SGDM8bit(1e-3), 2e-5),
    "sgd-nesterov_torch": (lambda: optimizers.SGDM8bit(1e-3, nesterov=True), 2e-5),
    "shampoo_po": (lambda: optimizers.Shampoo(0.01, beta_1=0.0, epsilon=1e-6), 2e-5),
    "shampoo-sum_meta": (lambda: optimizers.Shampoo(0.01, beta_1=0.0), 2e-5),
    "shampoo-ema_meta": (lambda: optimizers.Shampoo(0.01, beta_2=0.999), 2e-5),
    "shampoo-adamgraft_meta": (
        lambda: optimizers.Shampoo(0.01, beta_2=0.999, weight_decay=0.1, grafting="adam"),
        2e-5,
    ),
    "soap_author": (
        lambda: optimizers.SOAP(0.01, weight_decay=None, precondition_frequency=5),
        2e-5,
    ),
    "soap-normalize_author": (
        lambda: optimizers.SOAP(0.01, weight_decay=None, normalize_grads=True),
        2e-5,
    ),
    "soap-wd-freq1_author": (
        lambda: optimizers.SOAP(0.01, weight_decay=0.1, precondition_frequency=1),
        2e-5,
    ),
    "adan_author": (lambda: optimizers.Adan(0.01), 2e-5),
    "adan-wd_author": (lambda: optimizers.Adan(0.01, weight_decay=0.1), 3e-5),
    "adan-wd-noprox_author": (lambda: optimizers.Adan(0.01, weight_decay=0.1, no_prox=True), 2e-5),
}
# Sources that correct their averages in float32.
ROUNDED = {"shampoo-ema_meta", "shampoo-adamgraft_meta"}
CASES = [
    (name, problem)
    for name in REFERENCES
    for problem in sorted({key.split("/")[0] for key in np.load(GOLDEN / f"{name}.npz")})
]


@pytest.mark.parametrize("arrangement", ["joined", "single", "float64"])
@pytest.mark.parametrize(("name", "problem"), CASES)
def test_follows_the_reference(name, problem, arrangement, replay, deviation, monkeypatch):
    make, tolerance = REFERENCES[name]
    monkeypatch.setattr(group, "JOINED_BELOW", 0 if arrangement == "single" else 10**9)
    figures = np.load(GOLDEN / f"{name}.npz")
    names = [key.split("/")[2] for key in figures if key.startswith(f"{problem}/grad/")]
    theirs = {n: figures[f"{problem}/{n}"] for n in names}
    gradients = {n: figures[f"{problem}/grad/{n}"] for n in names}
    dtype = "float64" if arrangement == "float64" else "float32"
    optimizer = make()
    ours = replay(optimizer, {n: path[0] for n, path in theirs.items()}, gradients, dtype)
    if dtype == "float64" and isinstance(optimizer, optimizers.Optimizer) and name not in ROUNDED:
        # The rate is a float32 variable; optimizers of Keras's round all their numbers so.
        tolerance = 1e-6
    for n in names:
        assert deviation(ours[n], theirs[n]) < tolerance


def test_every_figure_is_used():
    assert {path.stem for path in GOLDEN.glob("*.npz")} == set(REFERENCES)
