"""How good the front of a search is after some trials: samplers beside each other on models that are trained.

Each trial trains a small CNN on digits for a few epochs, exports it as an int8 file, and is judged by the
accuracy of that file on the validation split, its bytes and its latency, as a ratio to that of the first
trial's file, both called in turns. The space is a grid, so that a combination is trained and measured once,
whoever asks for it first; what a trial costs is the same for every sampler. The first trial is the same for
all.

The figure is the hypervolume that a search gained over its first trial (`tfopt.search.goals.hypervolume`).
The samplers know the three objectives; keras-tuner's Bayesian optimization knows their sum, once as they are,
as keras-tuner adds them up, and once each in units of the first trial's.
"""

import argparse
import contextlib
import io
import json
import math
import os
import tempfile
import time
from pathlib import Path

import keras
import keras_tuner
import numpy as np

import tfopt
from tfopt import oracles
from tfopt.search.goals.hypervolume import hypervolume, references

OBJECTIVES = {"accuracy": "max", "bytes": "min", "latency": "min"}


def space():
    """Return the hyperparameters, with the defaults of a first try."""
    hp = keras_tuner.HyperParameters()
    hp.Int("width", 4, 32, step=4, default=16)
    hp.Int("depth", 1, 3, default=2)
    hp.Choice("kernel", [1, 3], default=3)
    hp.Int("hidden", 0, 64, step=16, default=32)
    hp.Choice("pool", ["max", "average", "none"], default="max")
    hp.Choice("rate", [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1], default=3e-3)
    return hp


def network(values, data):
    """Return the model of some values of the hyperparameters."""
    layers = keras.layers
    stack = [keras.Input(data.input_shape)]
    stack += [
        layers.Conv2D(values["width"], values["kernel"], padding="same", activation="relu")
        for _ in range(values["depth"])
    ]
    pool = {"max": layers.MaxPooling2D, "average": layers.AveragePooling2D}.get(values["pool"])
    stack += [pool(2)] if pool else []
    stack.append(layers.Flatten())
    if values["hidden"]:
        stack.append(layers.Dense(values["hidden"], activation="relu"))
    return keras.Sequential([*stack, layers.Dense(data.num_classes)])


class Trials:
    """Trains a combination of values once.

    Args:
        file: where results are kept, for a benchmark that is run again.
        epochs: of each training.
    """

    def __init__(self, file, epochs):
        self.file, self.epochs = file, epochs
        self.data = tfopt.data.load("digits")
        self.known = json.loads(file.read_text()) if file.exists() else {}
        self.first = self._file(space().values)

    def __call__(self, values):
        key = json.dumps([self.epochs, sorted(values.items())])
        if key not in self.known:
            self.known[key] = self._trained(values)
            self.file.write_text(json.dumps(self.known))
        return self.known[key]

    def _file(self, values):
        keras.utils.clear_session()
        keras.utils.set_random_seed(0)
        model, data = network(values, self.data), self.data
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(values["rate"]), loss)
        model.fit(data.x_train, data.y_train, batch_size=64, epochs=self.epochs, verbose=0)
        return tfopt.to_tflite(model, "int8", data.x_train[:128])

    def _trained(self, values):
        file, data = self._file(values), self.data
        right = np.argmax(file.predict(data.x_val), axis=-1) == data.y_val
        return {
            "accuracy": float(np.mean(right)),
            "bytes": float(len(bytes(file))),
            "latency": self._latency(file),
        }

    def _latency(self, file):
        files = {"first": bytes(self.first), "second": bytes(file)}
        return float(tfopt.measure.latency(files, turns=100)["second"].ratio)


def objectives():
    """Return the objectives as keras-tuner has them."""
    return [keras_tuner.Objective(name, way) for name, way in OBJECTIVES.items()]


def bayesian(count, seed):
    """Return keras-tuner's own oracle, which adds objectives up."""
    return keras_tuner.oracles.BayesianOptimizationOracle(
        objectives(), count, seed=seed + 1, hyperparameters=space()
    )


def bayesian_scaled(count, seed):
    """Return keras-tuner's own oracle for a sum that is given."""
    return keras_tuner.oracles.BayesianOptimizationOracle(
        keras_tuner.Objective("scaled_sum", "min"), count, seed=seed + 1, hyperparameters=space()
    )


def ours(kind, **arguments):
    """Return a function that makes an oracle of tfopt."""
    return lambda count, seed: kind(objectives(), count, seed=seed, hyperparameters=space(), **arguments)


SAMPLERS = {
    "random": ours(oracles.RandomOracle),
    "tpe (default)": ours(oracles.OptunaOracle),
    "nsga2": ours(oracles.OptunaOracle, sampler="nsga2"),
    "Bayesian, sum": bayesian,
    "Bayesian, scaled sum": bayesian_scaled,
}


def search(make, trials, count, seed):
    """Return the metrics of the trials of a search; the first has the defaults."""
    first = trials(space().values)
    found = [first]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        oracle = make(count, seed)
        oracle.verbose = 0
        keras_tuner.engine.base_tuner.BaseTuner(oracle, directory=folder, project_name="project")
        for number in range(count):
            trial = oracle.create_trial("tuner")
            if trial.status != "RUNNING":
                break
            if number == 0:  # keras-tuner's own begins at random
                trial.hyperparameters.values = dict(space().values)
            metrics = trials(trial.hyperparameters.values)
            sums = {"multi_objective": metrics["bytes"] + metrics["latency"] - metrics["accuracy"]}
            sums["scaled_sum"] = (1 - metrics["accuracy"]) / (1 - first["accuracy"])
            sums["scaled_sum"] += sum(metrics[name] / first[name] for name in ("bytes", "latency"))
            oracle.update_trial(trial.trial_id, {**metrics, **sums})
            trial.status = "COMPLETED"
            oracle.end_trial(trial)
            found += [metrics] if number else []
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=30)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--samplers", nargs="+", default=[*SAMPLERS], choices=[*SAMPLERS])
    parser.add_argument(
        "--results", type=Path, default=Path("search_quality.json"), help="Trainings that are known."
    )
    arguments = parser.parse_args()
    os.fsync = lambda _: None  # nothing here must outlive a loss of power
    trials = Trials(arguments.results, arguments.epochs)
    reference = references(trials(space().values), OBJECTIVES)
    print(f"first trial: {trials(space().values)}, hypervolume 0.125")
    gains = {name: [] for name in arguments.samplers}
    for seed in range(arguments.seeds):
        for name in arguments.samplers:
            began, before = time.monotonic(), len(trials.known)
            found = search(SAMPLERS[name], trials, arguments.trials, seed)
            volume = hypervolume(found, reference)
            gains[name].append(volume - hypervolume(found[:1], reference))
            print(
                f"seed {seed}  {name:22}{volume:.4f}  {len(found)} trials, "
                f"{len(trials.known) - before} trained, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    print(f"\n{'gain over the first trial':26}median   least  greatest   of random's")
    for name, values in gains.items():
        median = float(np.median(values))
        random = float(np.median(gains["random"])) if gains.get("random") else math.nan
        print(f"{name:26}{median:.4f}  {min(values):.4f}    {max(values):.4f}   {median / random:10.2f}")


if __name__ == "__main__":
    main()
