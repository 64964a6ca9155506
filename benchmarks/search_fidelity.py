"""Early stopping of a search's trials: the hypervolume reached, and the epochs trained for it.

Digits, random search over five hyperparameters, goals accuracy (of the int8 file, on the validation split),
bytes and latency. Each trial is trained to its end once. A training that pauses and goes on equals one that
does not, to the last bit (`tests/pipeline/training/test_pause.py`), and random search proposes the same
trials whatever comes out, so what a search with early stopping does is replayed from these runs exactly: the
same judge, given the same logs, and of each trial only the epochs that it would have trained are counted.

The hypervolume is that up to twice the error, bytes and latency of the first trial, as a share of it.
"""

import argparse
import logging
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pymoo.indicators.hv import HV

import tfopt
from tfopt.pipeline import Run
from tfopt.pipeline.training.pause import Progress
from tfopt.search import SearchResult
from tfopt.search.early_stopping.judge import METHODS, Judge

RECIPE = textwrap.dedent(
    """
    import keras

    import tfopt


    def model(data, width, hidden, dropout):
        return keras.Sequential(
            [
                keras.Input(data.input_shape),
                keras.layers.Conv2D(width, 3, padding="same", activation="relu", name="conv1"),
                keras.layers.Conv2D(2 * width, 3, strides=2, activation="relu", name="conv2"),
                keras.layers.Flatten(name="flatten"),
                keras.layers.Dropout(dropout, name="dropout"),
                keras.layers.Dense(hidden, activation="relu", name="hidden"),
                keras.layers.Dense(data.num_classes, name="head"),
            ],
            name="digits",
        )


    def build(hp):
        width = hp.Int("width", 2, 16, step=2, default=8)
        hidden = hp.Int("hidden", 8, 64, step=8, default=32)
        dropout = hp.Float("dropout", 0.0, 0.6, default=0.2)
        rate = hp.Float("lr", 1e-4, 3e-2, sampling="log", default=3e-3)
        sparsity = hp.Float("sparsity", 0.3, 0.9, default=0.6)
        return tfopt.Recipe(
            data=tfopt.data.load("digits"),
            model=lambda data: model(data, width, hidden, dropout),
            optimizer=lambda steps: tfopt.optimizers.Adan(
                tfopt.schedules.WarmupCosine(rate, warmup_steps=steps // 20, total_steps=steps)
            ),
            stages=[
                tfopt.Train(epochs=18),
                tfopt.Prune(sparsity=sparsity, epochs=6),
                tfopt.QuantizeAware("int8", epochs=3),
                tfopt.ExportTFLite(),
            ],
            batch_size=64,
        )
    """
)

GOALS = {"accuracy": "max", "bytes": "min", "latency": "min"}


@dataclass
class Trial:
    """A trial that was trained to its end."""

    run: str
    metrics: dict
    history: dict
    epochs: int
    parameters: int
    macs: int

    def progress(self, epochs):
        history = {name: values[:epochs] for name, values in self.history.items()}
        return Progress(
            run=self.run,
            epochs=epochs,
            stage_epochs=len(self.history["loss"]),
            run_epochs=self.epochs,
            history=history,
            parameters=self.parameters,
            macs=self.macs,
        )


def search(folder, seed, trials):
    """Run a search, or what is left of one, and return its result."""
    recipe = folder / "recipe.py"
    if not recipe.exists():
        folder.mkdir(parents=True, exist_ok=True)
        recipe.write_text(RECIPE)
    return tfopt.search(
        recipe,
        trials=trials,
        minimize=["bytes", "latency"],
        maximize="accuracy",
        sampler="random",
        seed=seed,
        out=folder / "runs",
        on_trial=lambda entry, _: print(
            f"seed {seed} trial {entry['number']}: {entry['status']}", flush=True
        ),
    )


def trained(result: SearchResult):
    """Return the trials of a search in their order."""
    found = []
    for each in result.typed.trials:
        record = Run.load(result.path / each.run).typed
        first = record.stages[0]
        found.append(
            Trial(
                run=Path(each.run).name,
                metrics=dict(each.metrics),
                history=dict(first.history),
                epochs=sum(stage.config.get("epochs") or 0 for stage in record.stages),
                parameters=record.model.parameters,
                macs=first.macs,
            )
        )
    return found


def volumes(trials):
    """Return what computes the hypervolume of some of the trials."""
    first = trials[0].metrics

    def point(metrics):
        scales = [1 - first["accuracy"] or 0.01, first["bytes"], first["latency"]]
        return [
            value / scale
            for value, scale in zip(
                [1 - metrics["accuracy"], metrics["bytes"], metrics["latency"]], scales, strict=True
            )
        ]

    indicator = HV(ref_point=np.full(3, 2.0))
    return lambda done: float(indicator(np.array([point(each.metrics) for each in done]))) / 2**3


def replay(trials, method):
    """Return (epochs trained so far, hypervolume) after each trial that completes with early stopping."""
    volume, done, spent, reached = volumes(trials), [], 0, {}
    curve = []
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge.of(Path(folder), method, {"accuracy": "max", "bytes": "min", "latency": "min"})
        by_name = {trial.run: trial for trial in trials}

        def go_on(trial):
            nonlocal spent
            length = len(trial.history["loss"])
            for epochs in range(max(reached.get(trial.run, 0), 1), length + 1):
                spent += epochs - reached.get(trial.run, 0)
                reached[trial.run] = epochs
                if not judge(trial.progress(epochs)):
                    return
            spent += trial.epochs - length
            judge.finished(trial.run, trial.metrics)
            done.append(trial)
            curve.append((spent, volume(done)))

        def promote():
            while promoted := judge.promoted():
                go_on(by_name[promoted[0]])

        for trial in trials:
            promote()
            go_on(trial)
        promote()
    return curve, spent


def whole(trials):
    """Return the same without early stopping."""
    volume, spent, curve = volumes(trials), 0, []
    for number, trial in enumerate(trials, 1):
        spent += trial.epochs
        curve.append((spent, volume(trials[:number])))
    return curve, spent


def first_at(curve, volume):
    """Return after how many epochs a hypervolume was reached; `None` where it never was."""
    return next((spent for spent, found in curve if found >= volume - 1e-12), None)


def compare(trials, seed):
    """Print and return what early stopping reaches with the same trials."""
    full, all_epochs = whole(trials)
    best = full[-1][1]
    rows = {}
    for method in METHODS:
        curve, spent = replay(trials, method)
        share = curve[-1][1] / best
        # What the whole search needed to come as far.
        needed = first_at(full, curve[-1][1])
        rows[method] = (spent / all_epochs, share, len(curve), first_at(curve, curve[-1][1]) / needed)
        print(
            f"seed {seed}, {method:9}: {len(curve):2d} of {len(trials)} trials to the end, {spent:4d} of "
            f"{all_epochs} epochs ({spent / all_epochs:.2f}x), hypervolume {curve[-1][1]:.4f} of {best:.4f} "
            f"({share:.3f}x); epochs to that hypervolume {rows[method][3]:.2f}x",
            flush=True,
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the runs are kept")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        table = [
            compare(trained(search(folder / str(seed), seed, arguments.trials)), seed)
            for seed in range(arguments.seeds)
        ]
        for method in METHODS:
            epochs, share, _, ratio = np.mean([rows[method] for rows in table], axis=0)
            print(
                f"{method:9}: mean of {len(table)} seeds: {epochs:.2f}x of the epochs, {share:.3f}x of the "
                f"hypervolume; epochs to the same hypervolume {ratio:.2f}x"
            )


if __name__ == "__main__":
    main()
