import dataclasses
import json

import numpy as np
import pytest

from tfopt.errors import InvalidArgumentError
from tfopt.export.runtime.verify import MAX_SNR_DB, TOLERANCES, Tolerance, difference, verify

EXPECTED = np.array([[0.1, 0.9], [0.8, 0.2], [0.6, 0.4]])


def _compare(actual, step=None, expected=EXPECTED, **options):
    return difference("y", expected, np.asarray(actual), step, **({"classification": True} | options))


def test_no_difference():
    found = _compare(EXPECTED, 0.1)
    assert (found.top1_agreement, found.max_lsb, found.mean_lsb, found.max_error) == (1.0, 0, 0.0, 0.0)
    assert found.snr_db == MAX_SNR_DB


def test_steps_are_counted_on_the_grid():
    found = _compare([[0.1, 0.8], [0.8, 0.5], [0.6, 0.4]], 0.1)
    assert (found.max_lsb, found.mean_lsb) == (3, pytest.approx(4 / 6))
    assert found.max_error == pytest.approx(0.3)
    assert found.relative_error == pytest.approx(0.3 / 0.9)


def test_a_float_reference_is_rounded_to_the_grid_first():
    assert _compare([[0.1], [0.3]], 0.1, np.array([[0.12], [0.26]])).max_lsb == 0


def test_signal_to_noise():
    signal = np.array([[3.0, 4.0]])
    found = _compare(signal + np.array([0.5, -0.5]), expected=signal)
    assert found.snr_db == pytest.approx(10 * np.log10(12.5 / 0.25))
    assert _compare([[0.1, 0.0]], expected=np.zeros((1, 2))).snr_db == -MAX_SNR_DB


@pytest.mark.parametrize(
    ("expected", "actual", "agreement"),
    [
        ([[0, 1], [1, 0]], [[0, 1], [0, 1]], 0.5),
        ([[0.2], [0.7], [0.9], [0.1]], [[0.1], [0.4], [0.8], [0.2]], 0.75),  # binary: a probability
        ([[-2.0], [3.0]], [[-2.0], [3.0]], None),  # no probability, so no class
        ([1.0, 2.0], [1.0, 2.0], None),
        (np.eye(3)[None], np.eye(3)[None, ::-1], 1 / 3),  # one class a position
    ],
)
def test_agreement_is_counted_where_a_class_is_chosen(expected, actual, agreement):
    found = _compare(actual, expected=np.asarray(expected))
    assert found.top1_agreement == (None if agreement is None else pytest.approx(agreement))
    assert _compare(actual, expected=np.asarray(expected), classification=False).top1_agreement is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_file_that_answers_nan_fails_every_tolerance(bad):
    for tolerance in TOLERANCES.values():
        assert not verify({"y": EXPECTED}, {"y": EXPECTED * bad}, {"y": None}, tolerance).passed


@pytest.mark.parametrize(
    ("limits", "failure"),
    [
        ({}, None),
        ({"min_agreement": 0.7}, "top-1 agreement of the output 'y' is 0.667, below the required 0.7"),
        ({"min_agreement": 0.6, "max_lsb": 3}, None),
        ({"max_lsb": 2}, "largest difference in LSB of the output 'y' is 3, above the allowed 2"),
        ({"min_snr_db": 60}, "SNR in dB"),
        ({"max_error": 0.1}, "largest relative difference"),
        ({"min_agreement": 1.0, "negligible_lsb": 3}, None),
        ({"max_lsb": 1, "negligible_lsb": 3}, "LSB"),
    ],
)
def test_a_tolerance_is_kept_or_named(limits, failure):
    actual = [[0.1, 0.9], [0.8, 0.2], [0.4, 0.7]]
    found = verify({"y": EXPECTED}, {"y": np.array(actual)}, {"y": 0.1}, Tolerance(**limits))
    assert found.passed == (failure is None)
    assert failure is None or failure in found.failures[0]
    assert ("passed" in str(found)) == found.passed


def test_the_worst_of_several_outputs_counts():
    outputs = {"a": EXPECTED, "b": EXPECTED}
    found = verify(outputs, {"a": EXPECTED, "b": EXPECTED + 0.2}, {"a": None, "b": 0.1}, Tolerance(max_lsb=1))
    assert (found.max_lsb, found.samples, found.passed) == (2, 3, False)
    record = json.loads(json.dumps(found.to_dict()))
    assert record["tolerance"] == dataclasses.asdict(Tolerance(max_lsb=1))
    assert [each["name"] for each in record["outputs"]] == ["a", "b"]
    assert record["snr_db"] == min(each["snr_db"] for each in record["outputs"])


def test_a_model_that_answers_nan_is_named():
    with pytest.raises(InvalidArgumentError, match="'y' holds NaN"):
        _compare(EXPECTED, 0.1, np.full_like(EXPECTED, np.nan))
