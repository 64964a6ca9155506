import dataclasses
import json
import subprocess
import sys

import pytest

from tfopt.errors import RunError
from tfopt.run import run_folder
from tfopt.run.run_record import RunRecord

FINGERPRINT = "abcdef0123456789"


def make(path, **record):
    path.mkdir(parents=True)
    run_folder.write_record(path, RunRecord(**{"fingerprint": FINGERPRINT, "status": "complete"} | record))


def test_the_name_is_the_start_of_the_fingerprint(tmp_path):
    assert run_folder.choose(tmp_path / "new", FINGERPRINT, fresh=False) == tmp_path / "new" / "abcdef01"


def test_the_newest_of_the_same_fingerprint_is_taken_and_fresh_takes_a_free_name(tmp_path):
    make(tmp_path / "abcdef01")
    assert run_folder.choose(tmp_path, FINGERPRINT, fresh=False).name == "abcdef01"
    assert run_folder.choose(tmp_path, FINGERPRINT, fresh=True).name == "abcdef01-2"
    make(tmp_path / "abcdef01-2")
    make(tmp_path / "abcdef01-10")
    assert run_folder.choose(tmp_path, FINGERPRINT, fresh=False).name == "abcdef01-10"
    assert run_folder.choose(tmp_path, FINGERPRINT, fresh=True).name == "abcdef01-11"


def test_another_fingerprint_with_the_same_start_is_left_alone(tmp_path):
    make(tmp_path / "abcdef01", fingerprint="abcdef01 but not the same")
    assert run_folder.choose(tmp_path, FINGERPRINT, fresh=False).name == "abcdef01-2"


def test_a_folder_whose_process_died_before_its_record_is_taken(tmp_path):
    (tmp_path / "abcdef01").mkdir()
    assert run_folder.choose(tmp_path, FINGERPRINT, fresh=False).name == "abcdef01"


def test_a_record_is_read_as_it_was_written(tmp_path):
    record = RunRecord(status="failed", error="It would not.", seconds=float("nan"))
    run_folder.write_record(tmp_path, record)
    assert json.loads((tmp_path / "run.json").read_text())["seconds"] is None
    assert run_folder.read_record(tmp_path) == dataclasses.replace(record, seconds=None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is not a run"),
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[]", "has schema None"),
        ('{"schema": 7}', "has schema 7"),
        ('{"schema": 1}', "its status or its stages are missing"),
        ('{"schema": 1, "status": "complete", "stages": [{}]}', "its status or its stages are missing"),
        ('{"schema": 1, "status": "complete", "stages": [], "seed": "x"}', "seed: expected a whole number"),
    ],
)
def test_records_that_cannot_be_read(tmp_path, content, message):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(RunError, match=message):
        run_folder.read_record(tmp_path)


HOLD = """
import sys, time
from pathlib import Path
from tfopt.run.run_folder import locked
with locked(Path(sys.argv[1])):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_told_and_a_killed_one_frees_the_folder(tmp_path):
    path = tmp_path / "run"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"locked\n"
        with (
            pytest.raises(RunError, match=rf"Another process \(process {other.pid}\)"),
            run_folder.locked(path),
        ):
            pass
        (path / ".unfinished-0000-model.keras").write_text("half")
        other.kill()
        other.wait()
    with run_folder.locked(path):
        assert not list(path.glob(".unfinished*"))


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="Cannot write in"), run_folder.locked(tmp_path / "file" / "run"):
        pass
