"""Samplers of `tfopt.oracles` beside others at equal numbers of trials, on functions instead of models.

ZDT1 and ZDT2 (Zitzler, Deb and Thiele, 2000): how far NSGA-II through keras-tuner ends from the true front,
beside NSGA-II of pymoo with the same population. IGD is the mean distance from points of the true front to
the nearest point found, GD the mean distance the other way; both in units of the objectives, least is best.

A function of seven hyperparameters as a small network has them: the best of 60 trials, smaller is better.
"""

import argparse
import math
import os
import tempfile

import keras_tuner
import numpy as np
from pymoo.algorithms.moo.nsga2 import NSGA2
from pymoo.indicators.gd import GD
from pymoo.indicators.igd import IGD
from pymoo.optimize import minimize
from pymoo.problems import get_problem
from pymoo.util.nds.non_dominated_sorting import NonDominatedSorting

from tfopt import oracles


def run(oracle, function, trials):
    """Run trials through an oracle without a tuner; `function` takes the values and returns metrics."""
    oracle.verbose = 0
    with tempfile.TemporaryDirectory() as folder:
        keras_tuner.engine.base_tuner.BaseTuner(oracle, directory=folder, project_name="project")
        for _ in range(trials):
            trial = oracle.create_trial("tuner")
            oracle.update_trial(trial.trial_id, function(trial.hyperparameters))
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
    return oracle


def distances(name, *, variables, evaluations, population, seed):
    """Return IGD and GD of NSGA-II through keras-tuner, and those of pymoo's."""
    problem = get_problem(name, n_var=variables)
    true = problem.pareto_front()
    space = keras_tuner.HyperParameters()
    for i in range(variables):
        space.Float(f"x{i}", 0.0, 1.0)
    names = [f"x{i}" for i in range(variables)]
    points = []

    def function(hp):
        points.append(problem.evaluate(np.array([hp.values[each] for each in names])))
        return {f"f{i}": float(value) for i, value in enumerate(points[-1])}

    objectives = [keras_tuner.Objective("f0", "min"), keras_tuner.Objective("f1", "min")]
    oracle = oracles.OptunaOracle(
        objectives,
        evaluations,
        sampler="nsga2",
        population_size=population,
        seed=seed,
        hyperparameters=space,
        start_with_defaults=False,
    )
    run(oracle, function, evaluations)
    theirs = minimize(problem, NSGA2(pop_size=population), ("n_eval", evaluations), seed=seed).F
    fronts = [
        each[NonDominatedSorting().do(each, only_non_dominated_front=True)]
        for each in (np.array(points), theirs)
    ]
    return [measure(true)(front) for front in fronts for measure in (IGD, GD)]


def seven(hp):
    """Return an error over seven hyperparameters of several kinds, as of a small network; best 0."""
    depth = hp.Int("depth", 1, 8)
    width = hp.Int("width", 8, 128, step=8)
    rate = hp.Float("rate", 1e-5, 1e-1, sampling="log")
    dropout = hp.Float("dropout", 0.0, 0.8)
    activation = hp.Choice("activation", ["relu", "tanh", "gelu", "swish"])
    norm = hp.Boolean("norm")
    decay = hp.Float("decay", 1e-6, 1e-2, sampling="log")
    error = abs(depth - 5) / 4 + ((width - 72) / 60) ** 2 + (math.log10(rate) + 2.7) ** 2
    error += 4 * (dropout - 0.25) ** 2 + {"relu": 0.3, "tanh": 0.6, "gelu": 0.0, "swish": 0.1}[activation]
    return {"error": error + 0.3 * (not norm) + 0.1 * abs(math.log10(decay) + 4)}


ORACLES = {
    "random": oracles.RandomOracle,
    "annealing": oracles.AnnealingOracle,
    "tpe": oracles.OptunaOracle,
    "nsga2": lambda *args, **kwargs: oracles.OptunaOracle(*args, sampler="nsga2", **kwargs),
    "cmaes": lambda *args, **kwargs: oracles.OptunaOracle(*args, sampler="cmaes", **kwargs),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument("--variables", type=int, default=30)
    arguments = parser.parse_args()
    os.fsync = lambda _: None  # nothing here must outlive a loss of power
    print(f"{'error of 7 hyperparameters, 60 trials':40}" + "median   least  greatest")
    for name, make in ORACLES.items():
        errors = []
        for seed in range(2 * arguments.seeds):
            oracle = run(make(keras_tuner.Objective("error", "min"), 60, seed=seed), seven, 60)
            errors.append(oracle.get_best_trials(1)[0].score)
        print(f"{name:40}{np.median(errors):6.3f}  {min(errors):6.3f}    {max(errors):6.3f}", flush=True)
    print(f"\n{'':8}IGD: tfopt   pymoo  ratio   GD: tfopt   pymoo  ratio")
    for name in ("zdt1", "zdt2"):
        rows = [
            distances(
                name,
                variables=arguments.variables,
                evaluations=arguments.evaluations,
                population=50,
                seed=seed,
            )
            for seed in range(arguments.seeds)
        ]
        igd, gd, their_igd, their_gd = np.median(rows, axis=0)
        told = f"{name:8}{igd:10.3f}{their_igd:8.3f}{igd / their_igd:7.2f}"
        print(told + f"{gd:12.3f}{their_gd:8.3f}{gd / their_gd:7.2f}", flush=True)


if __name__ == "__main__":
    main()
