"""Trials that are rejected before they run, with every oracle."""

import keras_tuner
import optuna
import pytest
from keras_tuner.engine.base_tuner import BaseTuner

from tests.oracles.fakes import ERROR, MAKE
from tfopt import oracles

LIMIT = oracles.Constraint("beyond", at_most=0.0)


def space():
    hp = keras_tuner.HyperParameters()
    hp.Float("x", -1, 1, default=0.9)
    hp.Int("n", 1, 40)
    return hp


def search(name, folder, trials, *, until=None):
    """Run trials, those with n above 10 rejected; stop after `until` of them in all."""
    oracle = MAKE[name](
        objective=ERROR, max_trials=trials, constraints=[LIMIT], hyperparameters=space(), seed=0
    )
    oracle.verbose = 0
    BaseTuner(oracle, directory=folder, project_name="project")
    done = 0
    while done != until:
        trial = oracle.create_trial("tuner")
        if trial.status == "STOPPED":
            break
        x, n = (trial.hyperparameters.get(each) for each in ("x", "n"))
        if n > 10:
            oracle.reject(trial, {"beyond": n / 10 - 1}, f"n is {n}")
        else:
            oracle.update_trial(trial.trial_id, {"error": (x - 0.3) ** 2 + n, "beyond": 0.0})
            trial.status = "COMPLETED"
        oracle.end_trial(trial)
        done += 1
    return oracle


@pytest.mark.parametrize("name", [name for name in MAKE if name != "grid"])
def test_they_are_no_trials_and_no_failures(name, tmp_path):
    oracle = search(name, tmp_path, 8)
    rejected = [trial for trial in oracle.trials.values() if trial.hyperparameters.get("n") > 10]
    assert len(oracle.completed()) == 8
    assert len(oracle.trials) == 8 + len(rejected) == oracle.allowed_trials
    assert rejected
    assert oracle.retry_failed() == []
    assert oracle.get_best_trials(1)[0] not in rejected
    for trial in rejected:
        assert trial.message.startswith(f"n is {trial.hyperparameters.get('n')}\n")


@pytest.mark.parametrize("name", ["tpe", "annealing", "random"])
def test_a_search_with_them_resumes(name, tmp_path):
    whole = search(name, tmp_path / "whole", 6)
    search(name, tmp_path / "parts", 6, until=4)
    again = search(name, tmp_path / "parts", 6)
    assert [t.hyperparameters.values for t in again.trials.values()] == [
        t.hyperparameters.values for t in whole.trials.values()
    ]


def test_the_study_has_them_as_pruned_with_what_they_miss(tmp_path):
    study = search("tpe", tmp_path, 8).study
    rejected = [trial for trial in study.trials if trial.params["n"] > 10]
    assert rejected
    for trial in rejected:
        assert trial.state == optuna.trial.TrialState.PRUNED
        assert trial.constraints == {"0 beyond": pytest.approx(trial.params["n"] / 10 - 1)}


def test_ten_for_each_trial_are_free(tmp_path):
    oracle = MAKE["random"](objective=ERROR, max_trials=2, hyperparameters=space(), seed=0)
    oracle.verbose = 0
    BaseTuner(oracle, directory=tmp_path, project_name="project")
    count = 0
    while (trial := oracle.create_trial("tuner")).status == "RUNNING":
        oracle.reject(trial, {}, "no")
        oracle.end_trial(trial)
        count += 1
    assert count == 22
    assert oracle.max_trials == 2
