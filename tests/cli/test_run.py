"""The exit code of `tfopt run`: scripts must not ship a file that lost too much."""

import copy
import json
import types
from pathlib import Path

import pytest

import tfopt
from tfopt.cli.main import main
from tfopt.pipeline import Run

RECORD = json.loads((Path(__file__).parent.parent / "report" / "run.json").read_text())


@pytest.mark.parametrize(
    ("max_drop", "accuracy", "code"),
    [(0.05, 0.97, 0), (0.05, 0.90, 3), (0.1, 0.90, 0), (None, 0.5, 0)],
)
def test_a_file_that_lost_too_much_is_no_success(monkeypatch, tmp_path, capsys, max_drop, accuracy, code):
    record = copy.deepcopy(RECORD)
    record["stages"][-1]["metrics"]["accuracy"] = accuracy
    record["stages"][-1]["config"]["max_drop"] = max_drop
    done = Run(tmp_path, record)
    assert done.passed is (code == 0)
    recipe = types.SimpleNamespace(run=lambda *_, **__: done)
    monkeypatch.setattr(tfopt.Recipe, "from_file", classmethod(lambda *_, **__: recipe))
    path = tmp_path / "recipe.py"
    path.write_text("")
    with pytest.raises(SystemExit) as left:
        main(["run", str(path)])
    assert left.value.code == code
    assert ("points" in capsys.readouterr().out) is (code == 3)
