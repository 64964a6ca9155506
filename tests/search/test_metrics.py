from types import SimpleNamespace

import pytest

from tfopt.errors import RunError
from tfopt.run.run_record import RunRecord
from tfopt.run.stage_record import StageRecord
from tfopt.search.metrics import baseline, exported_file, file_metrics, model_metrics


def run(path, *stages, **more):
    return SimpleNamespace(path=path, typed=RunRecord.from_json({"stages": list(stages), **more}))


FIRST = {
    "validation": {"loss": 0.2, "accuracy": 0.98},
    "history": {"loss": [1.0, 0.5], "val_loss": [1.0, 0.6]},
    "macs": 100,
    "params": 50,
}
LAST = {
    "validation": {"loss": 0.1, "accuracy": 0.9},
    "bytes": 3,
    "compressed_bytes": 2,
    "macs": 60,
    "history": {"loss": [1.0]},
    "latency": {"seconds": 0.001, "baseline_seconds": 0.002, "ratio": 0.5},
}


def test_metrics_are_those_of_the_file_on_the_validation_split_and_the_costs_of_the_run(tmp_path):
    done = run(tmp_path, FIRST, LAST, data={"train": 10}, seconds=4.0)
    assert file_metrics(done, 0.5) == {
        "loss": 0.1,
        "accuracy": 0.9,
        "bytes": 3,
        "compressed_bytes": 2,
        "macs": 60,
        "params": 50,
        "latency": 0.5,
        "epochs": 3,
        "training_macs": 3 * 10 * (2 * 100 + 60),
        "seconds": 4.0,
    }


def test_trials_are_compared_with_the_float_model_and_the_costs_of_the_first(tmp_path):
    found = baseline(run(tmp_path, FIRST, LAST), 2, "model.tflite", ["loss"])
    assert (found.trial, found.file) == (2, "model.tflite")
    assert found.metrics == {"loss": 0.2, "accuracy": 0.98}
    assert found.costs["latency"] == 0.001
    assert found.costs["bytes"] == 3
    assert found.costs["training_macs"] is None, "nobody said how many samples there are"
    assert baseline(run(tmp_path, LAST), 1, "f", []).costs["params"] is None


@pytest.mark.parametrize(
    ("validation", "named", "found"),
    [
        ({"b_accuracy": 0.1, "accuracy": 0.2}, [], {"accuracy": 0.2}),
        ({"loss": 1.0, "b_accuracy": 0.1}, [], {"accuracy": 0.1}),
        ({"a_accuracy": 0.1, "b_accuracy": 0.2}, ["b.accuracy"], {"b.accuracy": 0.2, "accuracy": None}),
        ({"loss": 1.0, "mae": 3.0}, ["mae"], {"mae": 3.0, "accuracy": None}),
        ({"loss": 1.0}, ["mae"], {"mae": None, "loss": 1.0}),
        ({"bytes": 1.0}, [], {"bytes": None}),  # the name is taken by the size of the file
        (None, [], {"accuracy": None}),
    ],
)
def test_metrics_are_found_as_keras_and_as_a_user_calls_them(validation, named, found):
    metrics = model_metrics(StageRecord(validation=validation), named)
    assert {name: metrics.get(name) for name in found} == found


def test_a_run_without_a_file(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"1")
    assert exported_file(run(tmp_path, {"file": "model.tflite"})) == tmp_path / "model.tflite"
    for stage in ({}, {"file": "other.tflite"}):
        with pytest.raises(RunError, match="has no exported file"):
            exported_file(run(tmp_path, stage))
    with pytest.raises(RunError, match="has no stages"):
        exported_file(run(tmp_path))
