"""A disk that lost power leaves a file torn: the version before is used, and the search goes on."""

import json
import shutil

import pytest

import tfopt.files
from tests.oracles.fakes import ERROR, MAKE, searched, two_numbers, values
from tfopt.files import previous


def made():
    return MAKE["tpe"](objective=ERROR, max_trials=6, seed=3)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return searched(made(), two_numbers, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def cut_off(tmp_path):
    """The folder of a search that was killed in its fourth trial."""
    with pytest.raises(KeyboardInterrupt):
        searched(made(), two_numbers, tmp_path, die_in=3)
    return tmp_path


@pytest.mark.parametrize("torn", ["", "half", "zeros"])
@pytest.mark.parametrize(
    "name", ["oracle.json", "trial_1/trial.json", "trial_3/trial.json", "optuna.journal"]
)
def test_a_torn_file(cut_off, whole, caplog, name, torn):
    file = cut_off / "project" / name
    content = file.read_bytes()
    if name == "optuna.journal":  # which is appended to
        start = content.rstrip(b"\n").rfind(b"\n") + 1
        half = content[: start + (len(content) - start) // 2]
        file.write_bytes({"": content[:start], "half": half, "zeros": half + bytes(20)}[torn])
    else:
        file.write_bytes({"": b"", "half": content[: len(content) // 2], "zeros": bytes(len(content))}[torn])
        assert json.loads(previous(file).read_text())
    rest = searched(made(), two_numbers, cut_off)
    assert values(rest.oracle) == values(whole.oracle)
    assert {trial.status for trial in rest.oracle.trials.values()} == {"COMPLETED"}
    # Where what a trial reported was torn, it runs again.
    assert rest.ran == ([whole.ran[1]] if name == "trial_1/trial.json" else []) + whole.ran[3:]
    if name != "optuna.journal":
        assert f"{name.split('/')[-1]} is torn" in caplog.text


def test_a_file_system_without_links(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError("no links here")

    monkeypatch.setattr(tfopt.files.os, "link", refuse)
    file = tmp_path / "a.json"
    for content in ("1", "2", "3"):
        tfopt.files.keep_previous(file)
        tfopt.files.write_atomically(file, content)
    assert previous(file).read_text() == "2"
    assert tfopt.files.read_json(file) == 3
    file.write_text("{")
    assert tfopt.files.read_json(file) == 2
    shutil.copy(file, previous(file))
    with pytest.raises(ValueError, match="Expecting property name"):
        tfopt.files.read_json(file)
