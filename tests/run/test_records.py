"""The records: written as JSON, read back, and read where an older version of tfopt wrote them."""

import dataclasses
import json
import typing
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfopt.run.json_record import Record
from tfopt.run.run_record import DataRecord, EnvironmentRecord, RunRecord
from tfopt.run.search_record import SearchRecord, TrialRecord
from tfopt.run.stage_record import FileRecord, LatencyRecord, StageRecord, VerificationRecord

ROOT = Path(__file__).parents[2]
EXAMPLE = json.loads((ROOT / "saved_models" / "example" / "run.json").read_text())
OLDER = json.loads((ROOT / "tests" / "report" / "run.json").read_text())

SCALARS = {
    str: st.text(max_size=5),
    int: st.integers(-(2**31), 2**31),
    float: st.floats(allow_nan=False, allow_infinity=False) | st.integers(-9, 9),
    bool: st.booleans(),
    typing.Any: st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=2),
}


def values(hint):
    """A strategy for the values of a field."""
    arguments = typing.get_args(hint)
    if hint in SCALARS:
        return SCALARS[hint]
    if typing.get_origin(hint) is tuple:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if typing.get_origin(hint) is Mapping:
        return st.dictionaries(st.text(max_size=3), values(arguments[1]), max_size=2)
    if arguments:  # of a type and None
        return st.none() | values(arguments[0])
    return records(hint)


def records(cls):
    hints = typing.get_type_hints(cls)
    return st.builds(
        cls, **{f.name: values(hints[f.name]) for f in dataclasses.fields(cls) if f.name != "extra"}
    )


def through_json(record: Record) -> Record:
    return type(record).from_json(json.loads(json.dumps(record.to_json())))


@pytest.mark.parametrize("cls", [RunRecord, SearchRecord])
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # which are about the machine's load
@given(data=st.data())
def test_a_record_is_read_as_it_was_written(cls, data):
    record = data.draw(records(cls))
    assert through_json(record) == record


@pytest.mark.parametrize("content", [EXAMPLE, RunRecord.from_json(OLDER).to_json()], ids=["new", "older"])
def test_a_file_is_written_as_it_was_read(content):
    assert RunRecord.from_json(content).to_json() == content


def test_what_older_versions_did_not_write_has_a_default():
    record = RunRecord.from_json(OLDER)
    assert [stage.number for stage in record.stages] == [1, 2, 3, 4]
    assert record.warnings == ()
    assert all(stage.files is None for stage in record.stages)
    written = record.to_json()
    for key, value in OLDER.items():
        if key not in ("stages", "environment", "model", "data"):
            assert written[key] == value, key


@pytest.mark.parametrize(
    ("stages", "numbers"),
    [
        ([{"name": "start"}, {"name": "prune"}], [0, 1]),
        ([{"name": "train"}, {"name": "prune"}], [1, 2]),
        ([{"number": 0}, {}], [0, 1]),
        ([{"number": 3, "name": "start"}], [3]),
        ([], []),
    ],
)
def test_stages_without_a_number_are_counted(stages, numbers):
    assert [stage.number for stage in RunRecord.from_json({"stages": stages}).stages] == numbers


@pytest.mark.parametrize("content", [{}, {"stages": None}, {"stages": [{}]}, {"stages": [{"metrics": None}]}])
def test_what_is_missing_has_a_default(content):
    record = RunRecord.from_json(content)
    assert (record.schema, record.status, record.warnings) == (1, "complete", ())


def test_unknown_keys_are_kept():
    content = {"later": 1, "stages": [{"name": "mine", "factor": [2.0], "latency": {"ratio": 1.0, "p99": 3}}]}
    record = RunRecord.from_json(content)
    assert record.extra == {"later": 1}
    assert record.stages[0].extra == {"factor": [2.0]}
    assert record.stages[0].latency == LatencyRecord(ratio=1.0, extra={"p99": 3})
    assert through_json(record) == record


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"the record: expected an object, got \[\]"),
        ({"seconds": "80"}, "^seconds: expected a number, got '80'"),
        ({"seed": True}, "seed: expected a whole number, got True"),
        ({"seed": 1.5}, "seed: expected a whole number, got 1.5"),
        ({"stages": {}}, "stages: expected a list, got {}"),
        ({"stages": [{}, 3]}, r"stages\[1\]: expected an object, got 3"),
        (
            {"stages": [{"metrics": {"loss": "low"}}]},
            r"stages\[0\].metrics.loss: expected a number, got 'low'",
        ),
        ({"stages": [{"metrics": [1]}]}, r"stages\[0\].metrics: expected an object, got \[1\]"),
        ({"stages": [{"verification": {"passed": 1}}]}, "verification.passed: expected true or false, got 1"),
        ({"name": 3}, "name: expected text, got 3"),
    ],
)
def test_a_value_of_the_wrong_type_is_said_with_its_place(content, message):
    with pytest.raises(ValueError, match=message):
        RunRecord.from_json(content)


def test_what_json_lacks_becomes_null():
    stage = StageRecord(
        name="train",
        file="a.tflite",
        metrics={"loss": float("nan")},
        history={"loss": (float("inf"), 1.0)},
        extra={"mine": (1, {"deep": float("-inf")})},
    )
    written = stage.to_json()
    assert written["metrics"] == {"loss": None}
    assert written["history"] == {"loss": [None, 1.0]}
    assert written["mine"] == [1, {"deep": None}]


def test_the_keys_of_a_stage_are_those_of_its_state():
    """A program that reads run.json tells a stage that was measured from one that was not by its keys."""
    pending = StageRecord(number=2, name="prune", title="pruned", status="pending")
    assert set(pending.to_json()) == {"number", "name", "title", "config", "status", "seconds"}
    exported = StageRecord(number=3, name="export_tflite", title="int8 TFLite", file="stages/3/model.tflite")
    assert exported.exports
    written = exported.to_json()
    assert {written[key] for key in ("model", "verification", "classes", "at_chance")} == {None}


def test_keys_that_are_null_and_keys_that_are_left_out():
    assert RunRecord().to_json()["error"] is None
    assert "class_names" not in DataRecord().to_json()
    assert EnvironmentRecord().to_json()["ai_edge_litert"] is None
    assert "feasible" not in TrialRecord().to_json()
    assert VerificationRecord().to_json()["max_lsb"] is None


def test_a_trial_writes_its_metrics_under_the_key_of_before():
    trial = TrialRecord(number=1, metrics={"bytes": 3})
    assert trial.to_json()["figures"] == {"bytes": 3}
    assert through_json(trial) == trial


def test_a_stage_of_a_run_is_replaced_by_its_number():
    record = RunRecord.from_json({"stages": [{"name": "train"}, {"name": "prune"}]})
    changed = record.with_stage(StageRecord(number=2, name="prune", files={"a": FileRecord(bytes=1)}))
    assert changed.stages[0] == record.stages[0]
    assert changed.stages[1].files == {"a": FileRecord(bytes=1)}


def test_trials_are_in_the_order_of_their_numbers():
    record = SearchRecord()
    for number in (2, 1, 3, 2):
        record = record.with_trial(TrialRecord(number=number, seconds=float(len(record.trials))))
    assert [trial.number for trial in record.trials] == [1, 2, 3]
    assert record.trial(2).seconds == 3.0
    assert dataclasses.replace(record, best=3).best_trial == record.trials[2]
    assert record.best_trial is None
