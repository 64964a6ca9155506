import sys
from pathlib import Path

import keras_tuner
import numpy as np
import pytest

from tests.oracles.fakes import ERROR, SIZE, Tuner, searched
from tfopt.errors import InvalidArgumentError
from tfopt.oracles import AnnealingOracle, Constraint, RandomOracle

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

from samplers import seven


def bests(make, folder, seeds=6):
    oracles = [searched(make(seed), seven, folder / str(seed)).oracle for seed in range(seeds)]
    return [oracle.get_best_trials(1)[0].score for oracle in oracles]


def test_it_is_better_than_random_search(tmp_path, monkeypatch):
    monkeypatch.setattr("tfopt.oracles.durable.write_json", lambda *_: None)  # 700 trials in seconds
    walked = bests(lambda seed: AnnealingOracle(ERROR, 60, seed=seed), tmp_path / "a")
    drawn = bests(lambda seed: RandomOracle(ERROR, 60, seed=seed), tmp_path / "r")
    assert np.median(walked) < 0.7 * np.median(drawn), (walked, drawn)


def test_it_cools_and_starts_again_from_the_best(tmp_path):
    oracle = AnnealingOracle(ERROR, 16, seed=0, random_trials=3, chain_length=6)
    heats = []

    def function(hp):
        heats.append(oracle.chain().heat)
        return seven(hp)

    searched(oracle, function, tmp_path)
    expected = [1.0] * 3 + [1e-2 ** (step / 5) for step in range(6)] * 2
    assert heats[:15] == pytest.approx(expected)
    # After the last trial of a chain, it goes on from the best.
    ended = [oracle.trials[name] for name in oracle.end_order]
    oracle.end_order = oracle.end_order[:9]
    assert oracle.chain().current == min(ended[:9], key=lambda trial: trial.score).trial_id


def test_restarts_at_random(tmp_path):
    oracle = AnnealingOracle(ERROR, 9, seed=0, random_trials=3, chain_length=6, restart_from="random")
    searched(oracle, seven, tmp_path)
    assert oracle.chain().current is None


def test_a_cold_walk_accepts_nothing_worse_and_a_hot_one_some_of_it(tmp_path):
    oracle = AnnealingOracle(ERROR, 60, seed=0, random_trials=5, chain_length=30)
    searched(oracle, seven, tmp_path)
    order, worse = list(oracle.end_order), {"hot": [0.0], "cold": [0.0]}
    for count in range(6, 34):
        oracle.end_order = order[:count]
        before = oracle.chain()
        oracle.end_order = order[: count + 1]
        if oracle.chain().current == order[count]:
            step = oracle.trials[order[count]].score - oracle.trials[before.current].score
            worse["hot" if before.heat > 0.1 else "cold"].append(step)
    assert max(worse["hot"]) > 0
    assert max(worse["cold"]) < max(worse["hot"])


def test_feasible_is_better_than_infeasible(tmp_path):
    def function(hp):
        x = hp.Float("x", 0.0, 1.0, default=0.0)
        return {"error": x, "limited": 1 - x}

    oracle = AnnealingOracle(ERROR, 40, seed=0, constraints=[Constraint("limited", at_most=0.2)])
    searched(oracle, function, tmp_path)
    assert 0.8 <= oracle.get_best_trials(1)[0].score < 0.85


def test_several_objectives_need_weights(tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"got the objectives error, size. Give weights, such as"):
        AnnealingOracle([ERROR, SIZE], 3)
    with pytest.raises(InvalidArgumentError, match="expected weights for error, size, got some for error"):
        AnnealingOracle([ERROR, SIZE], 3, weights={"error": 1})
    with pytest.raises(InvalidArgumentError, match=r"'size'.* >= 0"):
        AnnealingOracle([ERROR, SIZE], 3, weights={"error": 1, "size": -1})

    def function(hp):
        x = hp.Float("x", 0.0, 1.0)
        return {"accuracy": x, "size": 10 * (x - 0.1) ** 2}

    accuracy = keras_tuner.Objective("accuracy", "max")
    oracle = AnnealingOracle([accuracy, SIZE], 50, seed=0, weights={"accuracy": 1.0, "size": 1.0})
    searched(oracle, function, tmp_path)
    chosen = min(oracle.trials.values(), key=lambda t: np.dot([-1, 1], oracle.values_of(t)))
    assert chosen.hyperparameters.get("x") == pytest.approx(0.15, abs=0.03)


def test_failed_trials_are_no_part_of_the_walk(tmp_path):
    ran = []

    def function(hp):
        ran.append(1)
        metrics = seven(hp)
        if len(ran) % 3 == 0:
            raise ValueError("no")
        return metrics

    oracle = AnnealingOracle(ERROR, 20, seed=0)
    tuner = Tuner(oracle, function, tmp_path)
    tuner.search(verbose=0)
    assert oracle.trials[oracle.chain().current].status == "COMPLETED"


@pytest.mark.parametrize(
    "arguments", [{"chain_length": 1}, {"random_trials": 1}, {"restart_from": "worst"}, {"weights": 3}]
)
def test_bad_arguments(arguments):
    with pytest.raises(InvalidArgumentError, match=f"AnnealingOracle: expected {next(iter(arguments))}"):
        AnnealingOracle(ERROR, 3, **arguments)
