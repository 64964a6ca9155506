"""The journal of a search: what it writes, reads again and finds best. Without TensorFlow."""

import json

import pytest

from tfopt.errors import InvalidArgumentError, RunError
from tfopt.run.owners import Owner
from tfopt.run.search_record import BaselineRecord, TrialRecord
from tfopt.search.goals.goal import Goal
from tfopt.search.journal import Journal, read

KEYS = {
    *("schema", "created", "finished", "seconds", "goal", "baseline", "best", "front", "trials"),
    *("name", "id", "recipe", "seed", "requested_trials", "command", "status", "searched"),
}
TRIAL_KEYS = {"number", "status", "reason", "values", "figures", "run"}


def journal(path, keep=None, **about):
    return Journal(path, Goal.of(minimize="bytes", keep=keep), about)


def ended(book, number, accuracy, size, **changes):
    trial = TrialRecord(
        number=number, metrics={"accuracy": accuracy, "bytes": size, "latency": 1.0}, **changes
    )
    return book.end(trial, seconds=1.23456)


def content(path):
    return json.loads((path / "search.json").read_text())


def test_the_file_has_the_keys_of_before(tmp_path):
    about = {"name": "a", "id": "b", "recipe": None, "seed": 0, "requested_trials": 1, "command": "c"}
    book = journal(tmp_path, **about)
    book.begin(1)
    assert set(content(tmp_path)) == KEYS - {"recipe"}
    assert set(content(tmp_path)["trials"][0]) == TRIAL_KEYS
    ended(book, 1, 0.9, 10)
    assert set(content(tmp_path)["trials"][0]) == TRIAL_KEYS | {"seconds", "feasible"}
    assert content(tmp_path)["trials"][0]["figures"] == {"accuracy": 0.9, "bytes": 10, "latency": 1.0}


def test_the_best_is_feasible_and_the_smallest(tmp_path):
    book = journal(tmp_path, keep={"accuracy": -0.05})
    book.compare_with(BaselineRecord(trial=1, file="first", metrics={"accuracy": 0.9}))
    ended(book, 1, 0.9, 300)
    ended(book, 2, 0.88, 200)
    assert ended(book, 3, 0.5, 100).feasible is False
    ended(book, 4, None, 1, status="failed")
    assert book.record.best == 2
    assert book.record.front == (2,), "of one objective, the best alone"
    assert book.record.trials[2].violations == pytest.approx({"keep accuracy": 0.35 / 0.9}, abs=1e-6)
    assert book.record.seconds == pytest.approx(4 * 1.235)


def test_a_trial_that_is_repeated_takes_its_own_place(tmp_path):
    book = journal(tmp_path)
    for number in (1, 2):
        book.begin(number)
    book.begin(1)
    assert [trial.number for trial in book.record.trials] == [1, 2]


def test_a_journal_continues_its_file(tmp_path):
    ended(journal(tmp_path, requested_trials=1), 1, 0.9, 10)
    book = journal(tmp_path, requested_trials=5)
    assert [trial.number for trial in book.record.trials] == [1]
    assert book.record.requested_trials == 5
    book.close()
    assert read(tmp_path).status == "complete"
    assert read(tmp_path).finished


def test_a_search_that_nobody_writes_is_interrupted(tmp_path):
    journal(tmp_path).open()
    assert read(tmp_path).status == "interrupted"
    owner = Owner(tmp_path)
    assert read(tmp_path).status == "running"
    owner.release()
    assert read(tmp_path).status == "interrupted"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "Cannot read .*: No such file"),
        ("{", "is damaged"),
        ("[]", "not a search that this version of tfopt reads"),
        ('{"schema": 3}', r"\(expected schema 1 or 2\)"),
        ('{"schema": 1, "trials": [{"number": "one"}]}', r"trials\[0\].number: expected a whole number"),
    ],
)
def test_files_that_cannot_be_read(tmp_path, text, message):
    if text is not None:
        (tmp_path / "search.json").write_text(text)
    with pytest.raises(RunError, match=message):
        read(tmp_path)


def test_another_goal_in_the_same_folder_is_refused(tmp_path):
    journal(tmp_path).write()
    with pytest.raises(
        InvalidArgumentError, match=r"is to minimize bytes, not to minimize bytes, keep accuracy"
    ):
        journal(tmp_path, keep={"accuracy": -0.1})
    journal(tmp_path)


def test_the_first_version_of_the_file_is_read(tmp_path):
    trial = {"number": 1, "status": "complete", "figures": {"accuracy": 0.9, "bytes": 10, "latency": 1.0}}
    older = {
        "schema": 1,
        "status": "complete",
        "goal": {"metric": "bytes", "direction": "min", "keep": {"accuracy": -0.1}},
        "baseline": {"trial": 1, "file": "first", "accuracy": 0.95},
        "trials": [trial, trial | {"number": 2, "figures": {"accuracy": 0.8, "bytes": 5, "latency": 1.0}}],
        "best": 1,
        "front": [1],
    }
    (tmp_path / "search.json").write_text(json.dumps(older))
    record = read(tmp_path)
    assert (record.schema, record.best, record.front) == (1, 1, (1,))
    assert record.baseline.metrics == {"accuracy": 0.95}
    book = journal(tmp_path, keep={"accuracy": -0.1})
    book.close()
    record = read(tmp_path)
    assert (record.schema, record.best, record.front) == (2, 1, (1,))
    assert record.trial(2).violations == {"keep accuracy": pytest.approx(0.05 / 0.95, abs=1e-6)}
    assert record.reference["bytes"].point == 20
