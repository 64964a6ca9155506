"""The statistics of a difference are those of all samples at once, however they come."""

import numpy as np
import pytest

from tfopt.export.debug.error_statistics import (
    WORST_LSB,
    DebugReport,
    Sums,
    UnmatchedTensor,
    layer_difference,
)
from tfopt.export.debug.intermediate_tensors import FileTensor
from tfopt.export.runtime.verify import MAX_SNR_DB

RANDOM = np.random.default_rng(0)
EXPECTED = RANDOM.normal(size=(6, 5)).astype("float32")
ACTUAL = EXPECTED + RANDOM.normal(scale=0.1, size=(6, 5)).astype("float32")


def sums(expected, actual, step=None, chunks=1):
    found = Sums(step)
    for one, other in zip(np.array_split(expected, chunks), np.array_split(actual, chunks), strict=True):
        found.add(one, other)
    return found


@pytest.mark.parametrize("chunks", [1, 3])
def test_they_are_those_of_numpy(chunks):
    found = sums(EXPECTED, ACTUAL, 0.05, chunks)
    x, y = EXPECTED.astype(float), ACTUAL.astype(float)
    lsb = np.abs(np.round(y / 0.05) - np.round(x / 0.05))
    assert found.snr_db == pytest.approx(10 * np.log10(np.sum(x**2) / np.sum((y - x) ** 2)))
    assert found.cosine == pytest.approx(np.sum(x * y) / np.linalg.norm(x) / np.linalg.norm(y))
    assert (found.max_lsb, found.mean_lsb) == (lsb.max(), pytest.approx(lsb.mean()))


def test_floats_have_no_lsb():
    assert (sums(EXPECTED, ACTUAL).max_lsb, sums(EXPECTED, ACTUAL).mean_lsb) == (None, None)


def test_equal_tensors_and_zeros_are_alike():
    zeros = np.zeros((2, 3), np.float32)
    for same in (EXPECTED, zeros):
        assert sums(same, same).snr_db == MAX_SNR_DB
        assert sums(same, same).cosine == pytest.approx(1.0)
    assert sums(np.ones_like(zeros), zeros).cosine == 0.0


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_is_as_far_off_as_can_be(bad):
    found = sums(EXPECTED, np.where(EXPECTED > 1, bad, EXPECTED), 0.1)
    assert (found.snr_db, found.max_lsb, found.cosine) == (-MAX_SNR_DB, WORST_LSB, 0.0)


def report(*errors, unmatched=()):
    rows = []
    for position, error in enumerate(errors):
        tensor = FileTensor(position, position, f"t{position}", "ADD", "int8", (1, 5), 0.1, 0)
        off = sums(EXPECTED, EXPECTED + 0.1 * error, 0.1)
        rows.append(layer_difference([f"layer_{position}", "norm"], tensor, off, off))
    return DebugReport(tuple(rows), unmatched, 6, "delegate")


def test_the_report_counts_operators_within_one_lsb():
    found = report(0, 1, 4)
    assert found.share_within(1) == pytest.approx(2 / 3)
    assert found.layers[2].layer == "layer_2 + norm"
    assert "3 tensors on 6 samples, kernels: delegate. 66.7% of integer operators" in found.conclusion()
    assert report().share_within(1) is None


def test_what_has_no_counterpart_is_listed_by_layer():
    unmatched = [UnmatchedTensor(f"t{i}", operator, "attention") for i, operator in enumerate(["MUL", "ADD"])]
    assert (
        report(0, unmatched=tuple(unmatched))
        .conclusion()
        .endswith("Without a counterpart in the model, 2: MUL, ADD of attention.")
    )
