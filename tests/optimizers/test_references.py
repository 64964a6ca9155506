"""Optimizers against figures that we did not write: the authors' code, torch, optax, optimi.

Each file of `golden/` holds 20 steps in float64 of one source on small problems: the parameters after each
step, and the gradients that it was given, which are replayed here.
"""

from pathlib import Path

import numpy as np
import pytest

from tfopt import optimizers
from tfopt.optimizers import group

GOLDEN = Path(__file__).parent / "golden"
# file: (optimizer, largest deviation in float32 as a share of each parameter's largest movement)
REFERENCES = {
    "adan_author": (lambda: optimizers.Adan(0.01), 2e-5),
    "adan-wd_author": (lambda: optimizers.Adan(0.01, weight_decay=0.1), 3e-5),
    "adan-wd-noprox_author": (lambda: optimizers.Adan(0.01, weight_decay=0.1, no_prox=True), 2e-5),
}
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
    ours = replay(make(), {n: path[0] for n, path in theirs.items()}, gradients, dtype)
    for n in names:
        # The rate itself is a float32 variable of Keras.
        assert deviation(ours[n], theirs[n]) < (1e-6 if dtype == "float64" else tolerance)


def test_every_figure_is_used():
    assert {path.stem for path in GOLDEN.glob("*.npz")} == set(REFERENCES)
