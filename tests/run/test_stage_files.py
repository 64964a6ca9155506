"""Whether the files of a run are those that its stages wrote."""

import dataclasses
import zipfile

import pytest

from tfopt.run.run_record import RunRecord
from tfopt.run.stage_files import FILE, LABELS, damage, damaged, described, labels
from tfopt.run.stage_record import ContractRecord, StageRecord

MODEL, MEASURED, EXPORTED = "1/model.keras", "1/model.tflite", "2/model.tflite"


@pytest.fixture
def record(tmp_path):
    """A complete run of a stage that trains and one that exports."""
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
    with zipfile.ZipFile(tmp_path / MODEL, "w") as archive:
        archive.writestr("weights", b"0123456789")
    (tmp_path / MEASURED).write_bytes(b"measured")
    for name in (EXPORTED, FILE):
        (tmp_path / name).write_bytes(b"exported")
    (tmp_path / LABELS).write_text(labels(["low", "high"]))
    trained = StageRecord(model=MODEL, file=MEASURED, files=described(tmp_path, [MODEL, MEASURED, "none"]))
    contract = ContractRecord(class_names=("low", "high"))
    exported = StageRecord(file=EXPORTED, files=described(tmp_path, [EXPORTED]), contract=contract)
    return RunRecord(stages=(trained, exported))


def test_files_that_exist_are_described(record):
    assert set(record.stages[0].files) == {MODEL, MEASURED}
    assert record.stages[0].files[MEASURED].bytes == len(b"measured")


@pytest.mark.parametrize("thorough", [True, False])
def test_a_whole_run(tmp_path, record, thorough):
    assert damage(tmp_path, record, thorough=thorough) == []


@pytest.mark.parametrize("name", [MODEL, MEASURED, EXPORTED, FILE, LABELS])
def test_a_file_that_is_missing(tmp_path, record, name):
    (tmp_path / name).unlink()
    assert damage(tmp_path, record, thorough=False) == [name]


@pytest.mark.parametrize("name", [MODEL, MEASURED, EXPORTED, FILE])
def test_a_change_that_keeps_the_size_is_found_by_reading(tmp_path, record, name):
    content = bytearray((tmp_path / name).read_bytes())
    content[3] ^= 255
    (tmp_path / name).write_bytes(content)
    assert damage(tmp_path, record, thorough=False) == []
    assert damage(tmp_path, record, thorough=True) == [name]


def test_a_stage_of_an_older_tfopt_is_judged_by_reading_its_files(tmp_path, record):
    older = dataclasses.replace(record.stages[0], files=None)
    assert damaged(tmp_path, older, thorough=True) == []
    (tmp_path / MODEL).write_bytes((tmp_path / MODEL).read_bytes()[:-10])
    assert damaged(tmp_path, older, thorough=False) == []
    assert damaged(tmp_path, older, thorough=True) == [MODEL]


def test_a_run_without_stages(tmp_path):
    assert damage(tmp_path, RunRecord(), thorough=True) == []
