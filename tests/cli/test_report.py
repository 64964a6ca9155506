import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tfopt.run.run_folder import locked

RECORD = json.loads((Path(__file__).parents[1] / "report" / "run.json").read_text())


@pytest.fixture
def make_run(tmp_path):
    def make(name, created, **changes):
        folder = tmp_path / "digits" / name
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(json.dumps(RECORD | {"id": name, "created": created} | changes))
        os.utime(folder / "run.json", (1e9 + len(name), 1e9 + len(name)))
        (folder / "model.tflite").write_bytes(b"")
        return folder

    return make


def report(*arguments):
    code = (
        "import sys; from tfopt.cli import main\n"
        "try: main()\n"
        "finally: print('imported', [name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "report", *map(str, arguments)], capture_output=True, text=True
    )
    output, _, imported = done.stdout.rpartition("imported ")
    assert imported.strip() == "[]"
    return done.returncode, output, done.stderr.rstrip()


def test_a_run_is_shown_with_its_files(make_run):
    folder = make_run("8f3a2c91", "2026-11-22T05:14:03+00:00")
    code, output, errors = report(folder)
    assert (code, errors) == (0, "")
    assert "int8 TFLite keeps 97.50 % (trained 97.78 %)" in output
    assert output.splitlines()[-2:] == [str(folder / "model.tflite"), str(folder / "report.html")]
    assert "<svg" in (folder / "report.html").read_text()


def test_of_several_runs_the_latest_comes_first(make_run):
    make_run("0000aaaa", "2026-11-20T05:14:03+00:00", status="running")
    latest = make_run("8f3a2c91", "2026-11-22T05:14:03+00:00")
    make_run("1111bbbb", "2026-11-21T05:14:03+00:00", status="failed", error="No space left.")
    code, output, _ = report(latest.parent)
    assert code == 0
    assert output.index("8f3a2c91") < output.index("1111bbbb") < output.index("0000aaaa")
    assert "Failed: No space left." in output
    assert "Not finished" in output


@pytest.mark.parametrize("content", ["", "{", '{"schema": 2}', '{"schema": 1}'])
def test_a_damaged_record_does_not_hide_the_others(make_run, content):
    folder = make_run("8f3a2c91", "2026-11-22T05:14:03+00:00")
    (make_run("0000aaaa", "2026-11-20T05:14:03+00:00") / "run.json").write_text(content)
    code, output, errors = report(folder.parent)
    assert (code, errors) == (0, "")
    assert "8f3a2c91  complete" in output
    assert "0000aaaa" in output
    assert "Unreadable" in output


def test_a_killed_run_is_not_running(make_run):
    folder = make_run("8f3a2c91", "2026-11-22T05:14:03+00:00", status="running")
    output = report(folder)[1]
    assert "8f3a2c91  interrupted" in output
    assert "Run the same command again to resume." in output
    with locked(folder):
        output = report(folder)[1]
        assert "8f3a2c91  running" in output
        assert "again" not in output


def test_a_run_without_its_file_is_not_complete(make_run):
    stages = [dict(stage) for stage in RECORD["stages"]]
    name = stages[-1]["file"] = "stages/4-export/model.tflite"
    stages[-1] |= {"model": None, "files": {name: {"bytes": 3, "sha256": ""}}}
    folder = make_run("8f3a2c91", "2026-11-22T05:14:03+00:00", stages=stages)
    code, output, _ = report(folder)
    assert code == 0
    assert "8f3a2c91  damaged" in output
    assert "Run the same command again to repair it." in output
    assert str(folder / "model.tflite") not in output


def test_a_folder_that_can_only_be_read_is_shown(make_run, tfopt_cli, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    folder = make_run("8f3a2c91", "2026-11-22T05:14:03+00:00")
    monkeypatch.setattr(os, "replace", refuse)
    code, output, errors = tfopt_cli("report", folder)
    assert code == 0
    assert "8f3a2c91  complete" in output
    assert "note: Cannot write" in errors


def test_a_run_that_was_cut_off_gets_its_page(make_run):
    folder = make_run("8f3a2c91", "2026-11-22T05:14:03+00:00", status="running")
    (folder / "report.html").write_text("old")
    os.utime(folder / "report.html", (1, 1))
    assert report(folder / "run.json")[0] == 0
    assert "Not finished" in (folder / "report.html").read_text()


def test_a_search_is_shown(tmp_path):
    record = {"schema": 1, "name": "digits", "status": "complete", "best": None, "front": [], "trials": []}
    (tmp_path / "search.json").write_text(json.dumps(record))
    code, output, _ = report(tmp_path)
    assert code == 0
    assert "No trial completed." in output
    assert output.splitlines()[-2:] == [str(tmp_path / name) for name in ("search.json", "report.html")]
    assert "No trial completed." in (tmp_path / "report.html").read_text()


def test_the_trials_of_a_search_are_written(tmp_path):
    trials = [{"number": 1, "status": "complete", "values": {"width": 8}, "figures": {"bytes": 10}}]
    record = {"schema": 1, "status": "complete", "best": 1, "front": [1], "trials": trials}
    (tmp_path / "search.json").write_text(json.dumps(record))
    files = tmp_path / "new" / "trials.csv", tmp_path / "trials.json"
    code, output, _ = report(tmp_path, "--csv", files[0], "--json", files[1])
    assert (code, output.splitlines()) == (0, [*map(str, files)])
    assert files[0].read_text().splitlines()[1].startswith("1,complete,,True,True,")
    assert json.loads(files[1].read_text())[0]["values"] == {"width": 8}


def test_only_searches_have_trials(make_run):
    folder = make_run("8f3a2c91", "2026-11-22T05:14:03+00:00")
    code, output, errors = report(folder, "--csv", folder / "trials.csv")
    assert (code, output) == (1, "")
    assert f"There is no search in {folder}: --csv and --json write the trials of a search." in errors
    assert not (folder / "trials.csv").exists()


def test_searches_are_listed_beside_runs(make_run):
    folder = make_run("8f3a2c91", "2026-11-22T05:14:03+00:00").parent
    search = folder / "search-12ab34cd"
    search.mkdir()
    record = {"schema": 1, "name": "digits", "status": "complete", "best": None, "front": [], "trials": []}
    (search / "search.json").write_text(json.dumps(record))
    assert report(folder)[1].splitlines()[-2:] == ["Searches:", str(search)]
    assert report(folder / "search-12ab34cd")[1] == report(search / "search.json")[1]


def test_a_folder_without_runs_says_what_to_do(tmp_path):
    code, output, errors = report(tmp_path)
    assert (code, output) == (1, "")
    assert errors.startswith("error: There is no run in")
    assert "tfopt run" in errors


@pytest.mark.parametrize("content", ["", "{", '{"schema": 99}', "[]"])
def test_a_broken_record_is_one_line(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    code, _, errors = report(tmp_path)
    assert code == 1
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1


def test_debug_shows_the_traceback(tmp_path):
    code, _, errors = report(tmp_path, "--debug")
    assert code == 1
    assert "Traceback" in errors
