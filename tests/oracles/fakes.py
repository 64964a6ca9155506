"""Trials that cost nothing: functions of hyperparameters of all kinds, in a plain tuner of keras-tuner."""

import math

import keras_tuner

import tfopt.oracles as oracles

ERROR = keras_tuner.Objective("error", "min")
SIZE = keras_tuner.Objective("size", "min")

MAKE = {
    "tpe": lambda **kwargs: oracles.OptunaOracle(sampler="tpe", **kwargs),
    "nsga2": lambda **kwargs: oracles.OptunaOracle(sampler="nsga2", population_size=4, **kwargs),
    "nsga3": lambda **kwargs: oracles.OptunaOracle(sampler="nsga3", population_size=4, **kwargs),
    "cmaes": lambda **kwargs: oracles.OptunaOracle(sampler="cmaes", **kwargs),
    "annealing": lambda **kwargs: oracles.AnnealingOracle(random_trials=3, chain_length=4, **kwargs),
    "random": oracles.RandomOracle,
    "bayesian": lambda **kwargs: oracles.BayesianOracle(**{"num_initial_points": 50, **kwargs}),
    "grid": oracles.GridOracle,
}
"""Name of an oracle -> what makes it. Bayesian optimization is still random: a fit takes seconds."""

OPTUNA = [name for name in MAKE if name in ("tpe", "nsga2", "nsga3", "cmaes")]


def every_kind(hp):
    """Ask for a hyperparameter of every kind; return the metrics."""
    kind = hp.Choice("kind", ["conv", "dense"])
    with hp.conditional_scope("kind", ["conv"]):
        rate = hp.Float("rate", 1e-4, 1.0, sampling="log", default=1e-2)
    with hp.conditional_scope("kind", ["dense"]):
        units = hp.Int("units", 0, 20)
    error = (math.log10(rate) + 2) ** 2 if kind == "conv" else 1 + abs(units - 7)
    width = hp.Int("width", 8, 64, step=8)
    multiplier = hp.Int("multiplier", 1, 64, step=2, sampling="log")
    error += abs(width - 32) / 16 + math.log2(multiplier) / 4
    error += hp.Boolean("boolean") + hp.Choice("ordered", [1, 2, 4, 8]) / 8 + hp.Fixed("fixed", 3)
    error += math.log10(hp.Int("log", 1, 1000, sampling="log")) + hp.Float("step", 0, 1, step=0.1)
    error += hp.Float("reverse", 0.9, 0.999, sampling="reverse_log") + hp.Choice("unordered", [3.0, 1.0, 2.0])
    return {"error": error, "size": float(width * multiplier)}


def two_numbers(hp):
    """A space of two numbers."""
    return {"error": (hp.Float("x", -1, 1, default=0.9) - 0.3) ** 2 + abs(hp.Int("n", 1, 9) - 5)}


class Tuner(keras_tuner.Tuner):
    """A tuner as users write it; `KeyboardInterrupt` stands for the death of the process."""

    def __init__(self, oracle, function, folder, die_in=None, **kwargs):
        self.function, self.die_in, self.ran = function, die_in, []
        super().__init__(oracle, directory=str(folder), project_name="project", **kwargs)

    def run_trial(self, trial, *args, **kwargs):
        if len(self.ran) == self.die_in:
            raise KeyboardInterrupt
        result = self.function(trial.hyperparameters)
        self.ran.append(dict(trial.hyperparameters.values))
        return result


def searched(oracle, function, folder, **kwargs):
    """Search silently and return the tuner."""
    tuner = Tuner(oracle, function, folder, **kwargs)
    tuner.search(verbose=0)
    return tuner


def values(oracle):
    """Return the values of all trials, by their order."""
    return [trial.hyperparameters.values for trial in oracle.trials.values()]
