"""What every oracle promises, with a plain `keras_tuner.Tuner` and trials that are made up."""

import json
import math

import keras_tuner
import numpy as np
import pytest
from keras_tuner.engine.hyperparameters import Fixed

import tfopt.files
import tfopt.oracles.durable
import tfopt.oracles.optuna_journal
from tests.at_length import some
from tests.oracles.fakes import ERROR, MAKE, Tuner, every_kind, searched, two_numbers, values
from tfopt.errors import InvalidArgumentError, RunError

every_oracle = pytest.mark.parametrize("name", MAKE)


@every_oracle
def test_hyperparameters_of_every_kind(name, tmp_path):
    tuner = searched(MAKE[name](objective=ERROR, max_trials=9, seed=0), every_kind, tmp_path)
    assert len(tuner.oracle.trials) == 9
    assert tuner.ran[0] == {
        **{"kind": "conv", "rate": 1e-2, "width": 8, "multiplier": 1, "boolean": False, "ordered": 1},
        **{"fixed": 3, "log": 1, "step": 0.0, "reverse": 0.9, "unordered": 3.0},
    }
    for trial in tuner.oracle.trials.values():
        assert trial.status == "COMPLETED"
        hyperparameters = trial.hyperparameters
        assert ("rate" in hyperparameters.values) == (hyperparameters.get("kind") == "conv")
        assert ("units" in hyperparameters.values) == (hyperparameters.get("kind") == "dense")
        for hp in hyperparameters.space:
            if not hyperparameters.is_active(hp) or isinstance(hp, Fixed):
                continue
            value = hyperparameters.get(hp.name)
            if hasattr(hp, "min_value"):
                assert hp.min_value <= value <= hp.max_value, hp.name
                assert type(value) is (int if hp.name in ("units", "width", "multiplier", "log") else float)
            if getattr(hp, "step", None) or not hasattr(hp, "min_value"):
                assert value in list(hp.values), hp.name
    assert len({json.dumps(each, sort_keys=True) for each in tuner.ran}) == 9


@every_oracle
def test_a_death_in_any_trial_changes_nothing(name, tmp_path):
    def made():
        return MAKE[name](objective=ERROR, max_trials=6, seed=3)

    whole = searched(made(), two_numbers, tmp_path / "whole")
    for moment in (0, 2, 4):
        folder = tmp_path / str(moment)
        with pytest.raises(KeyboardInterrupt):
            searched(made(), two_numbers, folder, die_in=moment)
        rest = searched(made(), two_numbers, folder)
        assert rest.ran == whole.ran[moment:], moment
        assert values(rest.oracle) == values(whole.oracle)
        assert rest.oracle.get_best_trials(1)[0].score == whole.oracle.get_best_trials(1)[0].score


@pytest.mark.slow
def test_a_death_does_not_change_what_a_gaussian_process_proposes(tmp_path):
    def made():
        return MAKE["bayesian"](objective=ERROR, max_trials=6, seed=3, num_initial_points=4)

    whole = searched(made(), two_numbers, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        searched(made(), two_numbers, tmp_path, die_in=4)
    assert searched(made(), two_numbers, tmp_path).ran == whole.ran[4:]


@pytest.mark.parametrize("name", some(MAKE, ("nsga2", "annealing")))
def test_a_death_between_any_two_files_changes_nothing(name, tmp_path, monkeypatch):
    class Death(BaseException):
        pass

    left = [math.inf]
    real_write, real_append = tfopt.files.write_atomically, tfopt.oracles.optuna_journal.AtomicJournal._write

    def alive():
        left[0] -= 1
        if left[0] < 0:
            raise Death

    def write(path, content):
        alive()
        real_write(path, content)

    def append(journal, logs):
        alive()
        real_append(journal, logs)

    monkeypatch.setattr(tfopt.oracles.durable, "write_atomically", write)
    monkeypatch.setattr(tfopt.oracles.optuna_journal.AtomicJournal, "_write", append)

    def made():
        return MAKE[name](objective=ERROR, max_trials=3, seed=1)

    whole = searched(made(), two_numbers, tmp_path / "whole")
    number, died = 0, True
    while died:
        folder = tmp_path / str(number)
        left[0] = number
        try:
            searched(made(), two_numbers, folder)
            died = False
        except Death:
            left[0] = math.inf
            rest = searched(made(), two_numbers, folder)
            assert values(rest.oracle) == values(whole.oracle), number
            assert rest.oracle.end_order == whole.oracle.end_order
            assert {trial.status for trial in rest.oracle.trials.values()} == {"COMPLETED"}
        number += 1
    assert number > 10


@pytest.mark.parametrize("name", some(MAKE, ("tpe", "annealing", "grid")))
def test_more_trials_go_on_where_a_search_ended(name, tmp_path):
    if name == "nsga2":
        pytest.skip("its population is the same here; by default it depends on the number of trials")
    whole = searched(MAKE[name](objective=ERROR, max_trials=11, seed=5), two_numbers, tmp_path / "whole")
    searched(MAKE[name](objective=ERROR, max_trials=6, seed=5), two_numbers, tmp_path)
    more = searched(MAKE[name](objective=ERROR, max_trials=11, seed=5), two_numbers, tmp_path)
    assert len(more.ran) == 5
    if name not in ("tpe", "nsga3"):
        assert more.ran == whole.ran[6:]


@pytest.mark.parametrize("name", some([name for name in MAKE if name != "grid"], ("tpe", "random")))
def test_neighbouring_seeds_share_nothing(name, tmp_path):
    drawn = []
    for seed in range(3):
        tuner = searched(
            MAKE[name](objective=ERROR, max_trials=6, seed=seed), two_numbers, tmp_path / str(seed)
        )
        drawn += [(each["x"], each["n"]) for each in tuner.ran[1:]]
    assert len(set(drawn)) == len(drawn)


@every_oracle
def test_a_small_space_is_tried_once_and_the_search_ends(name, tmp_path):
    def tiny(hp):
        return {"error": float(hp.Choice("a", [1, 2]) + hp.Boolean("b"))}

    tuner = searched(MAKE[name](objective=ERROR, max_trials=20, seed=0), tiny, tmp_path)
    assert sorted((each["a"], each["b"]) for each in tuner.ran) == [
        (1, False),
        (1, True),
        (2, False),
        (2, True),
    ]


@every_oracle
def test_failures_are_not_results(name, tmp_path):
    """Neither an exception, nor NaN, nor infinity is a success or the best trial."""
    bad = {1: math.nan, 2: math.inf, 3: ValueError("no")}
    ran = []

    def function(hp):
        metrics = two_numbers(hp)
        ran.append(1)
        outcome = bad.get(len(ran) - 1)
        if isinstance(outcome, Exception):
            raise outcome
        return metrics if outcome is None else {"error": outcome}

    oracle = MAKE[name](objective=ERROR, max_trials=7, seed=0, max_consecutive_failed_trials=9)
    tuner = searched(oracle, function, tmp_path)
    statuses = [trial.status for trial in tuner.oracle.trials.values()]
    assert statuses == ["COMPLETED", *["FAILED"] * 3, *["COMPLETED"] * 3]
    assert tuner.oracle.trials["1"].message in ("error is nan", "error is inf")
    best = tuner.oracle.get_best_trials(7)
    assert [trial.status for trial in best] == ["COMPLETED"] * 4
    assert best[0].score == min(trial.score for trial in best)


@pytest.mark.parametrize("name", some(MAKE, ("nsga2", "annealing", "grid")))
def test_failed_trials_can_be_tried_again(name, tmp_path):
    def refuses(hp):
        two_numbers(hp)
        raise OSError("disk full")

    def made():
        return MAKE[name](objective=ERROR, max_trials=4, seed=0, max_consecutive_failed_trials=9)

    searched(made(), refuses, tmp_path)
    again = made()
    tuner = searched_again(again, tmp_path)
    assert len(tuner.ran) == 4
    assert values(tuner.oracle) == tuner.ran
    assert {trial.status for trial in tuner.oracle.trials.values()} == {"COMPLETED"}


def searched_again(oracle, folder):
    tuner = Tuner(oracle, two_numbers, folder)
    assert oracle.retry_failed() == sorted(oracle.trials)
    tuner.search(verbose=0)
    return tuner


def test_a_death_while_failed_trials_run_again(tmp_path):
    def refuses(hp):
        two_numbers(hp)
        raise OSError("disk full")

    def made():
        return MAKE["tpe"](objective=ERROR, max_trials=3, seed=0, max_consecutive_failed_trials=9)

    searched(made(), refuses, tmp_path)
    tuner = Tuner(made(), two_numbers, tmp_path, die_in=1)
    tuner.oracle.retry_failed()
    with pytest.raises(KeyboardInterrupt):
        tuner.search(verbose=0)
    rest = searched(made(), two_numbers, tmp_path)
    assert len(rest.ran) == 2
    assert {trial.status for trial in rest.oracle.trials.values()} == {"COMPLETED"}


def test_nothing_completed_is_an_error_and_too_many_failures_stop(tmp_path):
    def refuses(hp):
        two_numbers(hp)
        raise ValueError("never")

    oracle = MAKE["random"](objective=ERROR, max_trials=9, seed=0)
    with pytest.raises(RunError, match=r"3 trials in a row failed; the last one: (.|\n)*never"):
        searched(oracle, refuses, tmp_path)
    with pytest.raises(RunError, match="None of the 3 trials of this search completed"):
        oracle.get_best_trials()
    reloaded = MAKE["random"](objective=ERROR, max_trials=9, seed=0)
    assert len(searched(reloaded, two_numbers, tmp_path).ran) == 6, "a success counts anew"


def test_a_retry_is_not_averaged_with_the_failure(tmp_path):
    ran = []

    def once_nan(hp):
        ran.append(1)
        return math.nan if len(ran) == 1 else 2.0

    oracle = MAKE["tpe"](max_trials=1, seed=0, max_retries_per_trial=1)
    tuner = searched(oracle, once_nan, tmp_path)
    assert len(ran) == 2
    assert tuner.oracle.get_best_trials()[0].score == 2.0
    assert [trial.state.name for trial in oracle.study.trials] == ["COMPLETE"]


def test_scalars_of_numpy_in_a_space(tmp_path):
    def function(hp):
        return {"error": float(hp.Choice("n", [1, 2, 3]) + hp.Float("x", np.float64(0), np.float64(1)))}

    for name in ("tpe", "annealing", "grid"):
        assert len(searched(MAKE[name](objective=ERROR, max_trials=5), function, tmp_path / name).ran) == 5


def test_a_file_that_keras_tuner_tore_is_mended(tmp_path):
    searched(MAKE["tpe"](objective=ERROR, max_trials=2, seed=0), two_numbers, tmp_path)
    (tmp_path / "project" / "tuner0.json").write_text("")
    tuner = searched(MAKE["tpe"](objective=ERROR, max_trials=4, seed=0), two_numbers, tmp_path)
    assert len(tuner.ran) == 2


def test_overwrite_begins_anew(tmp_path):
    for _ in range(2):
        oracle = MAKE["tpe"](objective=ERROR, max_trials=3, seed=0)
        assert len(searched(oracle, two_numbers, tmp_path, overwrite=True).ran) == 3
        assert len(oracle.study.trials) == 3


def test_a_hypermodel_is_explored_before_the_first_trial(tmp_path):
    class Space(keras_tuner.HyperModel):
        def build(self, hp):
            every_kind(hp)

    tuner = searched(
        MAKE["nsga2"](objective=ERROR, max_trials=3, seed=0), every_kind, tmp_path, hypermodel=Space()
    )
    names = {name for trial in tuner.oracle.study.trials[:1] for name in trial.params}
    assert {"rate", "units"} <= names, "the inactive one is carried along"


def test_bad_arguments():
    with pytest.raises(InvalidArgumentError, match="max_trials to be a whole number >= 1"):
        MAKE["random"](objective=ERROR, max_trials=0)
    with pytest.raises(InvalidArgumentError, match="seed to be a whole number >= 0"):
        MAKE["tpe"](objective=ERROR, seed=-1)
    with pytest.raises(InvalidArgumentError, match="at least one objective"):
        MAKE["tpe"](objective=[])
    with pytest.raises(InvalidArgumentError, match="given twice: error, error"):
        MAKE["tpe"](objective=[ERROR, ERROR])
    with pytest.raises(InvalidArgumentError, match="improves one objective, got 2"):
        MAKE["bayesian"](objective=[ERROR, keras_tuner.Objective("size", "min")])
