from types import SimpleNamespace

import pytest

from tfopt.errors import RunError
from tfopt.run.run_record import RunRecord
from tfopt.search.metrics import exported_file, file_metrics, float_accuracy


def run(path, *stages):
    return SimpleNamespace(path=path, typed=RunRecord.from_json({"stages": list(stages)}))


def test_metrics_are_those_of_the_file_on_the_validation_split(tmp_path):
    first = {"validation": {"accuracy": 0.98}}
    last = {"validation": {"loss": 0.1, "accuracy": 0.9}, "bytes": 3, "compressed_bytes": 2}
    done = run(tmp_path, first, last)
    expected = {"accuracy": 0.9, "bytes": 3, "compressed_bytes": 2, "latency": 0.5}
    assert file_metrics(done, 0.5) == expected
    assert float_accuracy(done) == 0.98


@pytest.mark.parametrize(
    ("validation", "accuracy"),
    [
        ({"b_accuracy": 0.1, "accuracy": 0.2}, 0.2),
        ({"loss": 1.0, "b_accuracy": 0.1}, 0.1),
        ({"loss": 1.0}, None),
        (None, None),
    ],
)
def test_which_accuracy(tmp_path, validation, accuracy):
    assert float_accuracy(run(tmp_path, {"validation": validation})) == accuracy


def test_a_run_without_a_file(tmp_path):
    (tmp_path / "model.tflite").write_bytes(b"1")
    assert exported_file(run(tmp_path, {"file": "model.tflite"})) == tmp_path / "model.tflite"
    for stage in ({}, {"file": "other.tflite"}):
        with pytest.raises(RunError, match="has no exported file"):
            exported_file(run(tmp_path, stage))
    with pytest.raises(RunError, match="has no stages"):
        exported_file(run(tmp_path))
    assert float_accuracy(run(tmp_path)) is None
