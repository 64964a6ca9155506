import json
import math

import pytest

import tfopt
from tfopt.errors import InvalidArgumentError, RunError
from tfopt.pipeline.training.pause import Progress
from tfopt.run.search_record import SearchRecord, TrialRecord
from tfopt.search.early_stopping.judge import Judge, check_stages
from tfopt.search.early_stopping.ledger import FOLDER


def progress(run, epochs, accuracy, *, parameters=100, macs=1000, **logs):
    """After so many of nine epochs, all of a run's; the accuracy is that of each epoch."""
    history = {"loss": [0.5] * epochs, "val_accuracy": [accuracy] * epochs, "val_loss": [1.0] * epochs}
    return Progress(
        run=run,
        epochs=epochs,
        stage_epochs=9,
        run_epochs=9,
        history=history | logs,
        parameters=parameters,
        macs=macs,
    )


@pytest.fixture
def judge(tmp_path):
    return Judge.of(tmp_path, "halving", {"accuracy": "max"})


def test_between_rungs_nothing_is_asked_of_a_trial(judge, tmp_path):
    assert judge(progress("a", 1, 0.9))  # rungs are at 1 and 3
    (entry,) = (tmp_path / FOLDER).iterdir()
    before = entry.read_text()
    assert judge(progress("a", 2, 0.1))
    assert entry.read_text() == before


def test_the_better_goes_on_and_the_worse_stops(judge):
    assert judge(progress("first", 1, 0.5))
    assert not judge(progress("worse", 1, 0.4))
    assert judge(progress("better", 1, 0.6))
    assert not judge(progress("in between", 1, 0.55))


def test_a_trial_is_compared_at_every_rung(judge):
    for name in ("a", "b"):
        assert judge(progress(name, 1, 0.5 if name == "a" else 0.6))
    assert judge(progress("a", 3, 0.8))
    assert not judge(progress("b", 3, 0.7))


def test_whoever_asks_again_gets_the_same_answer(judge):
    assert judge(progress("a", 1, 0.5))
    assert not judge(progress("b", 1, 0.4))
    assert judge(progress("c", 1, 0.6))
    assert judge(progress("a", 1, 0.5)), "a passed before c came"
    assert not judge(progress("b", 1, 0.4))


def test_a_stopped_trial_is_promoted_once_it_belongs_to_the_best_third(judge):
    assert judge(progress("best", 1, 0.9))
    assert not judge(progress("second", 1, 0.8))
    assert judge.promoted() == []
    for number in range(3):
        assert not judge(progress(f"other {number}", 1, 0.1 * number))
    assert judge.promoted() == []  # five trials, of which one goes on
    assert not judge(progress("other 3", 1, 0.3))
    assert judge.promoted() == ["second"]
    assert judge.promoted() == ["second"]  # until it goes on: a kill may come between
    assert judge(progress("second", 1, 0.8))
    assert judge.promoted() == []
    assert judge(progress("second", 2, 0.8))


def test_those_at_later_rungs_are_promoted_first(judge):
    for number in range(6):  # each better than those before, so that all go on
        assert judge(progress(f"{number}", 1, 0.1 + 0.1 * number))
    assert judge(progress("5", 3, 0.9))
    for number in (4, 3, 2, 1, 0):
        assert not judge(progress(f"{number}", 3, 0.1 * number))
    assert not judge(progress("late", 1, 0.45))
    assert not judge(progress("later", 1, 0.01))
    assert not judge(progress("latest", 1, 0.01))
    assert judge.promoted() == ["4", "late"]


def test_of_several_goals_whatever_is_on_the_front_goes_on(tmp_path):
    judge = Judge.of(tmp_path, "halving", {"accuracy": "max", "bytes": "min", "latency": "min"})
    assert judge.costs == ("parameters", "macs")
    assert judge(progress("large", 1, 0.9))
    assert judge(progress("small", 1, 0.5, parameters=50))
    assert judge(progress("fast", 1, 0.5, macs=500))
    assert not judge(progress("worse than large", 1, 0.8))
    assert not judge(progress("worse than small", 1, 0.4, parameters=50))
    assert judge(progress("smallest", 1, 0.1, parameters=10))
    assert not judge(progress("diverged", 1, math.nan, parameters=10))


def test_a_model_that_later_stages_ruined_stops_no_others(judge):
    assert judge(progress("ruined", 1, 0.9))
    assert not judge(progress("before", 1, 0.8))
    judge.finished("ruined", {"accuracy": 0.3, "bytes": 100.0})
    assert judge.promoted() == ["before"]
    assert judge(progress("before", 1, 0.8))
    assert not judge(progress("after", 1, 0.7))
    judge.finished("before", {"accuracy": 0.95, "bytes": 100.0})
    assert judge(progress("better", 1, 0.85)), "at the rung, the other one was no better than 0.8"
    judge.finished("better", {"accuracy": None})  # which says nothing of it
    assert not judge(progress("last", 1, 0.84))
    judge.finished("unknown", {"accuracy": 0.95})  # a run of an earlier search, which came to no rung of this


@pytest.mark.parametrize(
    ("directions", "kept", "qualities", "costs"),
    [
        ({"bytes": "min"}, {"accuracy": "max"}, {"val_accuracy": "max"}, ("parameters",)),
        ({"latency": "min", "macs": "min"}, {}, {"val_loss": "min"}, ("macs",)),
        ({"mean_absolute_error": "min"}, {}, {"val_mean_absolute_error": "min"}, ()),
    ],
)
def test_what_is_compared(tmp_path, directions, kept, qualities, costs):
    judge = Judge.of(tmp_path, "halving", directions, kept)
    assert (judge.qualities, judge.costs) == (qualities, costs)
    again = Judge(**json.loads(json.dumps(judge.to_json())))
    assert again(progress("a", 1, 0.5, val_mean_absolute_error=[1.0]))


def test_a_training_that_a_callback_ended_is_compared_at_the_rungs_that_it_skipped(judge):
    assert judge(progress("a", 1, 0.5))
    assert judge(progress("a", 3, 0.9))
    assert judge(progress("b", 1, 0.6))
    ended = progress("b", 2, 0.7)
    ended = Progress(**{**vars(ended), "epochs": 9})
    assert not judge(ended)


def test_an_accuracy_may_have_a_longer_name(judge):
    assert judge(progress("a", 1, 0.1, val_accuracy=[], val_sparse_categorical_accuracy=[0.5]))


def test_a_metric_that_nobody_logs_is_named(tmp_path):
    judge = Judge.of(tmp_path, "halving", {"auc": "max"})
    with pytest.raises(InvalidArgumentError, match=r"val_auc, which .* logs val_accuracy, val_loss\."):
        judge(progress("a", 1, 0.5))


def test_trials_of_a_bracket_are_compared_with_each_other(tmp_path):
    judge = Judge.of(tmp_path, "hyperband", {"accuracy": "max"})
    accuracies, stopped = [0.99 - 0.001 * number for number in range(60)], 0
    for number, accuracy in enumerate(accuracies):  # each worse than those before
        stopped += not judge(progress(f"{number:08x}", 1, accuracy))
    # Those that begin at the second rung, or at none, have not been compared yet.
    assert 20 < stopped < 45
    names = {path.stem for path in (tmp_path / FOLDER).iterdir()}
    later = [f"{number:08x}" for number in range(60) if f"{number:08x}" not in names]
    goes_on = [judge(progress(name, 3, 0.5)) for name in later]
    assert True in goes_on
    assert [judge(progress(name, 3, 0.4)) for name in later] == goes_on


def test_a_damaged_file_is_named(judge, tmp_path):
    judge(progress("a", 1, 0.5))
    (tmp_path / FOLDER / "a.json").write_text("{")
    with pytest.raises(RunError, match=r"Cannot read .*a\.json .*Delete it"):
        judge(progress("b", 1, 0.5))


def test_trials_and_their_runs(judge):
    judge(progress("best", 1, 0.9))
    for number in (5, 4, 3, 2, 1, 0):
        judge(progress(f"run{number}", 1, 0.1 * number))
    trials = tuple(TrialRecord(number=n, status="stopped", run=f"../trials/run{n}") for n in range(6))
    assert judge.promoted_trials(SearchRecord(trials=trials)) == [5]
    trial = judge.stopped(TrialRecord(number=2), "run2")
    assert trial.status == "stopped"
    assert trial.stopped_at == {"epochs": 1, "val_accuracy": 0.2}
    assert judge.objective(trial, ["accuracy"]) == {"accuracy": 0.2}
    assert judge.objective(trial, ["accuracy", "bytes"]) == {}
    assert judge.objective(trial, ["bytes"]) == {}


def test_recipes_that_have_nothing_to_stop_are_refused():
    check_stages([tfopt.Train(epochs=3), tfopt.ExportTFLite()])
    with pytest.raises(InvalidArgumentError, match=r"begin with tfopt\.Train, got Prune"):
        check_stages([tfopt.Prune(sparsity=0.5)])
    with pytest.raises(InvalidArgumentError, match=r"nothing to stop .*Train has 1\."):
        check_stages([tfopt.Train(epochs=1)])
