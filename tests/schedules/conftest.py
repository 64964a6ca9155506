"""Figures of other libraries' schedules."""

from pathlib import Path

import numpy as np
import pytest

# 60 steps each, as torch 2.13.0, transformers 5.23.0 and optax 0.2.8 gave them; the name of a case is the
# name of the function there. optax computes in float32.
REFERENCES = Path(__file__).parent / "golden" / "references.npz"


@pytest.fixture(scope="session")
def follows():
    """Return a check that a schedule gives the rates of a case, to 1e-6 of each rate."""
    references = np.load(REFERENCES)

    def check(schedule, case):
        expected = references[case]
        rates = np.array([schedule(step) for step in range(len(expected))])
        np.testing.assert_allclose(rates, expected, rtol=1e-6, atol=1e-7 * expected.max(), err_msg=case)

    return check
