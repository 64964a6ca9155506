import subprocess
import sys

import pytest

from tfopt.errors import RunError
from tfopt.pipeline import Run
from tfopt.run import run_folder
from tfopt.run.run_record import RunRecord


def entry(name, status="complete", **rest):
    return {"name": name, "title": name, "status": status, **rest}


def write(path, created="2026-01-01", **record):
    path.mkdir(parents=True, exist_ok=True)
    stages = [
        entry("train", model="stages/1-train/model.keras", metrics={"accuracy": 0.9}),
        entry("export_tflite", model=None, metrics={"accuracy": 0.8}),
    ]
    content = {"status": "complete", "created": created, "stages": stages} | record
    run_folder.write_record(path, RunRecord.from_json(content))
    return path


def test_what_a_run_tells(tmp_path):
    run = Run.load(write(tmp_path))
    assert run.complete
    assert run.metrics == {"accuracy": 0.8}
    assert Run.load(tmp_path / "run.json").path == tmp_path
    assert "train" in run.report


def test_a_run_that_was_cut_off_tells_what_it_has(tmp_path):
    stages = [
        entry("train", metrics={"loss": 1.0}),
        entry("prune", "running"),
        entry("export_tflite", "pending"),
    ]
    run = Run.load(write(tmp_path, stages=stages, status="running"))
    assert not run.complete
    assert run.metrics == {"loss": 1.0}
    with pytest.raises(RunError, match=r"has no model\.tflite \(it is interrupted\)"):
        _ = run.tflite
    with pytest.raises(RunError, match="has no Keras model of stage 'prune'; it has those of none"):
        run.model("prune")


def test_the_newest_run_of_a_folder(tmp_path):
    write(tmp_path / "a", created="2026-02-01")
    write(tmp_path / "b", created="2026-03-01")
    write(tmp_path / "c", created="2026-01-01")
    assert Run.load(tmp_path).path.name == "b"
    with pytest.raises(RunError, match="No such folder"):
        Run.load(tmp_path / "d")
    (tmp_path / "d").mkdir()
    with pytest.raises(RunError, match="holds no run"):
        Run.load(tmp_path / "d")


def test_reading_needs_no_tensorflow(tmp_path):
    write(tmp_path)
    code = (
        "import sys, tfopt; run = tfopt.Run.load(sys.argv[1]); run.metrics, run.report; "
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
