"""The finished run that lies in the repository still is what it says."""

import json
from pathlib import Path

import numpy as np
import pytest

from tfopt.export import TFLiteModel
from tfopt.report import text

EXAMPLE = Path(__file__).parents[2] / "saved_models" / "example"


@pytest.fixture(scope="module")
def record():
    return json.loads((EXAMPLE / "run.json").read_text())


@pytest.fixture(scope="module")
def file():
    return TFLiteModel(EXAMPLE / "model.tflite")


def test_it_is_small():
    assert sum(path.stat().st_size for path in EXAMPLE.iterdir()) < 100_000


def test_it_predicts_with_the_accuracy_that_it_claims(digits, file, record):
    assert record["data"]["fingerprint"] == digits.fingerprint()
    accuracy = np.mean(file.predict(digits.x_test).argmax(axis=1) == digits.y_test)
    claimed = record["stages"][-1]["metrics"]["accuracy"]
    # Rounding differs between processors by one step at most, which may turn a sample or two.
    assert accuracy == pytest.approx(claimed, abs=0.006)


def test_it_keeps_what_the_recipe_promises(file, record):
    trained, *_, exported = record["stages"]
    summary = file.summary()
    assert exported["metrics"]["accuracy"] >= 0.97
    assert exported["metrics"]["accuracy"] >= trained["metrics"]["accuracy"] - 0.007
    assert exported["verification"]["top1_agreement"] >= 0.995
    assert exported["verification"]["max_lsb"] <= 2
    assert summary.sparsity >= 0.75
    assert not summary.float_operators
    assert {spec.dtype for spec in (*file.inputs, *file.outputs)} == {"int8"}


def test_its_report_can_be_read(record):
    assert "int8 TFLite" in text(record)
