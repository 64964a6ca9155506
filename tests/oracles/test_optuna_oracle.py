"""What Optuna's samplers add: several objectives, constraints, conditions, importances, states."""

import copy

import keras_tuner
import numpy as np
import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.at_length import some
from tests.oracles.fakes import ERROR, SIZE, every_kind, searched, two_numbers, values
from tfopt.errors import InvalidArgumentError, RunError
from tfopt.oracles import Constraint, OptunaOracle, RandomOracle

BOTH = [ERROR, SIZE]


def opposed(hp):
    """Return two objectives of which one gets worse as the other gets better."""
    x = hp.Float("x", 0.0, 1.0, default=0.5)
    waste = hp.Float("waste", 0.0, 1.0, default=1.0)
    return {"error": 1 - x + waste, "size": 100 * x + 100 * waste}


@pytest.mark.parametrize("sampler", ["tpe", "nsga2", pytest.param("nsga3", marks=pytest.mark.slow)])
def test_several_objectives_are_not_added_up(sampler, tmp_path):
    oracle = OptunaOracle(BOTH, 40, sampler=sampler, seed=0)
    searched(oracle, opposed, tmp_path)
    front = oracle.front()
    points = np.array([oracle.values_of(trial) for trial in oracle.trials.values()])
    for trial in front:
        mine = np.array(oracle.values_of(trial))
        assert not ((points <= mine).all(1) & (points < mine).any(1)).any()
    assert len(front) > 3
    optunas = {f"{trial.user_attrs['trial_id']:02d}" for trial in oracle.study.best_trials}
    assert {trial.trial_id for trial in front} == optunas
    best = oracle.get_best_trials(len(front))
    assert {trial.trial_id for trial in best} == {trial.trial_id for trial in front}
    assert best[0].score == min(trial.score for trial in front), "of the front the best in the first one"


@pytest.mark.parametrize("sampler", ["tpe", "nsga2"])
def test_constraints_reach_the_sampler(sampler, tmp_path):
    def function(hp):
        x = hp.Float("x", 0.0, 1.0, default=0.0)
        return {"error": x, "limited": 1 - x, "size": x}

    limits = [Constraint("limited", at_most=0.1), Constraint("size", at_least=0.2)]
    oracle = OptunaOracle(ERROR, 40, sampler=sampler, seed=0, constraints=limits)
    searched(oracle, function, tmp_path)
    best = oracle.get_best_trials(1)[0]
    assert 0.9 <= best.score < 0.93, "the smallest error that keeps the limit"
    assert oracle.front() == [best]
    told = oracle.study.trials[0].constraints
    assert told == {"0 limited": pytest.approx(0.9), "1 size": pytest.approx(0.2)}
    late = list(oracle.trials.values())[20:]
    assert sum(oracle.violation(trial) == 0 for trial in late) > 5


def test_a_metric_that_a_constraint_limits_must_be_reported(tmp_path):
    oracle = OptunaOracle(ERROR, 1, constraints=[Constraint("missing", at_most=1)])
    searched(oracle, two_numbers, tmp_path)
    assert oracle.trials["0"].message == "missing was not reported"


def test_conditional_hyperparameters_are_asked_for_where_they_are_active(tmp_path):
    oracle = OptunaOracle(ERROR, 30, seed=0)
    searched(oracle, every_kind, tmp_path)
    for trial in oracle.study.trials:
        assert ("rate" in trial.params) == (trial.params["kind"] == "conv")
        assert ("units" in trial.params) == (trial.params["kind"] == "dense")
        assert trial.user_attrs["values"]["fixed"] == 3


def test_a_name_under_two_conditions(tmp_path):
    def function(hp):
        kind = hp.Choice("kind", ["a", "b"])
        with hp.conditional_scope("kind", ["a"]):
            small = hp.Int("n", 1, 4)
        with hp.conditional_scope("kind", ["b"]):
            large = hp.Int("n", 100, 104)
        assert (1 <= small <= 4) if kind == "a" else (100 <= large <= 104)
        return {"error": float(small if kind == "a" else large)}

    for number, sampler in enumerate(("tpe", "nsga2")):
        oracle = OptunaOracle(ERROR, 9, seed=0, sampler=sampler)
        searched(oracle, function, tmp_path / str(number))
        assert {trial.status for trial in oracle.trials.values()} == {"COMPLETED"}
        assert len({tuple(each.values()) for each in values(oracle)}) == 9


def test_importances(tmp_path):
    def function(hp):
        x, y = hp.Float("x", 0, 1), hp.Float("y", 0, 1)
        return {"error": x, "score": 1 - y}

    objectives = [ERROR, keras_tuner.Objective("score", "max")]
    oracle = OptunaOracle(objectives, 30, sampler="nsga2", seed=0)
    with pytest.raises(RunError, match="need at least two completed trials with different error"):
        searched(OptunaOracle(ERROR, 1), function, tmp_path / "one").oracle.importances()
    searched(oracle, function, tmp_path)
    assert next(iter(oracle.importances())) == "x"
    assert next(iter(oracle.importances("score"))) == "y"
    with pytest.raises(InvalidArgumentError, match="one of 'error', 'score', got 'size'"):
        oracle.importances("size")


def test_states(tmp_path):
    outcomes = iter(
        [None, ValueError("no"), optuna.TrialPruned(), None, optuna.TrialPruned(), ValueError("no")]
    )

    def function(hp):
        metrics = two_numbers(hp)
        if error := next(outcomes):
            raise error
        return metrics

    oracle = OptunaOracle(ERROR, 6, seed=0, max_consecutive_failed_trials=2)
    searched(oracle, function, tmp_path)
    states = [trial.state.name for trial in oracle.study.trials]
    assert states == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE", "PRUNED", "FAIL"]
    assert {trial.status for trial in oracle.front()} == {"COMPLETED"}


def test_the_study_can_be_read_by_optuna(tmp_path):
    oracle = OptunaOracle(BOTH, 12, seed=0)
    searched(oracle, opposed, tmp_path)
    backend = JournalFileBackend(str(tmp_path / "project" / "optuna.journal"))
    study = optuna.load_study(study_name="search", storage=JournalStorage(backend))
    assert study.metric_names == ["error", "size"]
    assert [trial.values for trial in study.trials] == [trial.values for trial in oracle.study.trials]


def test_a_torn_line_of_the_journal_is_cut_off(tmp_path):
    searched(OptunaOracle(ERROR, 3, seed=0), two_numbers, tmp_path)
    with open(tmp_path / "project" / "optuna.journal", "a") as file:
        file.write('{"op_code":')
    oracle = OptunaOracle(ERROR, 5, seed=0)
    assert len(searched(oracle, two_numbers, tmp_path).ran) == 2
    assert [trial.state.name for trial in oracle.study.trials] == ["COMPLETE"] * 5


def test_other_objectives_in_the_same_folder_are_refused(tmp_path):
    searched(OptunaOracle(ERROR, 1, seed=0), opposed, tmp_path)
    with pytest.raises(InvalidArgumentError, match="is for min error, not for min error, min size"):
        searched(OptunaOracle(BOTH, 2, seed=0), opposed, tmp_path)


def test_trials_of_another_oracle_are_taken_over(tmp_path):
    searched(RandomOracle(ERROR, 5, seed=0), two_numbers, tmp_path)
    oracle = OptunaOracle(ERROR, 9, seed=0)
    assert len(searched(oracle, two_numbers, tmp_path).ran) == 4
    assert [trial.state.name for trial in oracle.study.trials] == ["COMPLETE"] * 9
    assert [trial.user_attrs["values"] for trial in oracle.study.trials] == values(oracle)


SAMPLERS = {
    "function": lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=3),
    "instance": optuna.samplers.TPESampler(n_startup_trials=3, seed=1),
    "nsga2": optuna.samplers.NSGAIISampler(population_size=4, seed=1),
    "cmaes": optuna.samplers.CmaEsSampler(n_startup_trials=2),
    "qmc": optuna.samplers.QMCSampler(seed=3, warn_asynchronous_seeding=False),
}


@pytest.mark.parametrize("name", some(SAMPLERS, ("function", "instance")))
def test_a_sampler_of_ones_own_resumes_exactly(name, tmp_path):
    def made(seed=7):
        return OptunaOracle(ERROR, 8, sampler=copy.deepcopy(SAMPLERS[name]), seed=seed)

    whole = searched(made(), two_numbers, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        searched(made(), two_numbers, tmp_path, die_in=5)
    assert searched(made(), two_numbers, tmp_path).ran == whole.ran[5:]
    if name not in ("qmc",):
        other = searched(made(8), two_numbers, tmp_path / "other")
        assert not {each["x"] for each in other.ran[1:]} & {each["x"] for each in whole.ran[1:]}


def test_bad_samplers(monkeypatch):
    with pytest.raises(InvalidArgumentError, match=r"sampler to be one of 'tpe', .*, got 'best'"):
        OptunaOracle(ERROR, sampler="best")
    with pytest.raises(InvalidArgumentError, match="a function of a seed that returns one, got 3"):
        OptunaOracle(ERROR, sampler=3)
    with pytest.raises(InvalidArgumentError, match="CMA-ES improves one objective, got 2"):
        OptunaOracle(BOTH, sampler="cmaes")
    with pytest.raises(InvalidArgumentError, match="population_size is for 'nsga2' and 'nsga3'"):
        OptunaOracle(ERROR, population_size=9)
    with pytest.raises(InvalidArgumentError, match="expected one of at_most and at_least, got 2"):
        Constraint("a", at_most=1, at_least=2)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(InvalidArgumentError, match="'gp' needs the package torch: pip install torch"):
        OptunaOracle(ERROR, sampler="gp")
