"""What several workers gain, what the search itself costs, and how many workers its folder bears.

    python benchmarks/search_workers.py workers     trials an hour of two workers beside one
    python benchmarks/search_workers.py overhead    what a search adds to each trial
    python benchmarks/search_workers.py storage     up to 64 processes that claim and end trials of no length

`workers` and `overhead` run real trials over a small recipe on digits; `storage` needs no model.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

RECIPE = """
import keras, tfopt

def build(hp):
    return tfopt.Recipe(
        data=tfopt.data.load("digits"),
        model=lambda data: keras.Sequential([
            keras.Input(data.input_shape),
            keras.layers.Conv2D(hp.Int("width", 16, 32, default=24), 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(data.num_classes, activation="softmax"),
        ]),
        optimizer=lambda steps: keras.optimizers.Adam(1e-2),
        stages=[tfopt.Train(epochs=EPOCHS), tfopt.QuantizeAware("int8", epochs=5), tfopt.ExportTFLite()],
    )
"""


def timed(command: list[str]) -> tuple[float, float]:
    """Run a command; return its seconds of the clock and of the CPU, those of its children included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - started, sum(after[:2]) - sum(before[:2])


def workers(options: argparse.Namespace) -> None:
    """Print the trials an hour of one and of two workers, by the clock and as the CPU's time allows."""
    with tempfile.TemporaryDirectory() as temporary:
        recipe = Path(temporary) / "small.py"
        recipe.write_text(RECIPE.replace("EPOCHS", str(options.epochs)))
        rates = []
        print("workers  seconds  CPU seconds  CPUs used  trials an hour")
        for count in (1, 2):
            command = [sys.executable, "-m", "tfopt", "search", str(recipe), "--sampler", "random"]
            command += ["--trials", str(options.trials), "--workers", str(count)]
            seconds, cpu = timed([*command, "--out", str(Path(temporary) / str(count))])
            rates.append(3600 * options.trials / seconds)
            print(f"{count:7} {seconds:8.0f} {cpu:12.0f} {cpu / seconds:10.2f} {rates[-1]:15.0f}", flush=True)
        load = os.getloadavg()[0]
        print(f"two workers: {rates[1] / rates[0]:.2f}x the trials an hour of one; load {load:.1f}")


def overhead(options: argparse.Namespace) -> None:
    """Print what the search itself does for a trial, beside the trial's run alone."""
    from tfopt.search.executors.slot import InProcess

    with tempfile.TemporaryDirectory() as temporary:
        recipe = Path(temporary) / "small.py"
        recipe.write_text(RECIPE.replace("EPOCHS", str(options.epochs)))
        run, cpu = timed([sys.executable, "-m", "tfopt", "run", str(recipe), "--out", temporary + "/run"])
        print(f"tfopt run alone: {run:.1f} s, {cpu:.1f} s of CPU, of which importing TensorFlow is a part")
        times, clocks = [], []

        def measured(hyperparameters, runs):
            clocks.append((time.monotonic(), time.process_time()))
            return fake_run(hyperparameters, runs)

        conducted(Path(temporary) / "fake", InProcess(measured, lambda *_: 1.0), options.trials * 25)
        times = np.diff(np.array(clocks), axis=0)
        for name, part in (("first 50", times[:50]), ("last 50", times[-50:])):
            clock, own = np.median(part, axis=0)
            print(f"the search adds to a trial, {name} of {len(clocks)}: {clock:.3f} s, {own:.3f} s of CPU")
            print(f"    {own / cpu:.2%} of the run's CPU, {clock / run:.2%} of its seconds")


def fake_run(hyperparameters, runs: Path):
    """Stand for a run of no length."""
    from types import SimpleNamespace

    from tfopt.run.run_record import RunRecord

    width = hyperparameters.Int("width", 1, 10**6, default=16)
    hyperparameters.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-2)
    path = runs / "all"
    path.mkdir(parents=True, exist_ok=True)
    (path / "model.tflite").touch()
    stage = {"file": "model.tflite", "validation": {"accuracy": 0.9}, "bytes": width}
    return SimpleNamespace(path=path, typed=RunRecord.from_json({"stages": [stage]}))


def declared():
    """Return the hyperparameters of `fake_run`."""
    import keras_tuner

    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.Int("width", 1, 10**6, default=16)
    hyperparameters.Float("rate", 1e-4, 1e-1, sampling="log", default=1e-2)
    return hyperparameters


def conducted(folder: Path, slot, trials: int, sampler: str = "tpe"):
    """Run a search in one slot."""
    from tfopt.search.conduct import conduct
    from tfopt.search.goals.goal import Goal
    from tfopt.search.journal import Journal
    from tfopt.search.spending import Spending

    goal = Goal.of(minimize="bytes")
    return conduct(
        Journal(folder, goal, {"name": "fake"}),
        spending=Spending(trials=trials),
        seed=0,
        slots=[slot],
        runs=folder / "trials",
        sampler=sampler,
    )


def storage(options: argparse.Namespace) -> None:
    """Print how many trials an hour 1 to 64 processes claim and end in one folder, on one disk."""
    import keras_tuner  # noqa: F401  (forks share what takes seconds)

    from tfopt.search.executors.slot import InProcess

    print("processes  trials  seconds  trials a second  CPU ms a trial")
    for count in (1, 4, 16, 64):
        with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
            folder = Path(temporary) / "search"
            slot = InProcess(fake_run, lambda *_: 1.0, declared)
            conducted(folder, slot, 1, options.sampler)  # the space is known
            trials = 1 + options.trials * 25
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            started = time.monotonic()
            children = []
            for _ in range(count):
                child = os.fork()
                if child == 0:
                    conducted(folder, slot, trials, options.sampler)
                    os._exit(0)
                children.append(child)
            assert all(os.waitpid(child, 0)[1] == 0 for child in children)
            seconds = time.monotonic() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = 1000 * (sum(after[:2]) - sum(before[:2])) / trials
            print(f"{count:9} {trials:7} {seconds:8.1f} {trials / seconds:16.1f} {cpu:15.1f}", flush=True)


def main() -> None:
    """Print one of the tables, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    tables = {"workers": workers, "overhead": overhead, "storage": storage}
    parser.add_argument("what", nargs="?", choices=tables, help="all if not given")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--sampler", default="random")
    parser.add_argument("--folder", help="where the storage is; a temporary folder by default")
    options = parser.parse_args()
    for name in [options.what] if options.what else tables:
        tables[name](options)


if __name__ == "__main__":
    main()
