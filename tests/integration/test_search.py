"""A real search over a small recipe, killed in the middle."""

import json
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import tfopt
from tfopt.pipeline import Run
from tfopt.search import SearchResult

# tests/search kills a search between any two files, in this process.
pytestmark = pytest.mark.slow

RECIPE = textwrap.dedent(
    """
    import keras
    import tfopt

    def model(data, width):
        return keras.Sequential(
            [
                keras.Input(data.input_shape),
                keras.layers.Conv2D(width, 3, strides=2, activation="relu"),
                keras.layers.Flatten(),
                keras.layers.Dense(data.num_classes, activation="softmax"),
            ]
        )

    def build(hp):
        return tfopt.Recipe(
            data=tfopt.data.load("digits"),
            model=lambda data: model(data, hp.Int("width", 2, 12, default=4)),
            optimizer=lambda steps: keras.optimizers.Adam(1e-2),
            stages=[tfopt.Train(epochs=6), tfopt.QuantizeAware("int8", epochs=1), tfopt.ExportTFLite()],
        )
    """
)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """A search over three trials, killed while its second one trains, and started again."""
    folder = tmp_path_factory.mktemp("search")
    (folder / "tiny.py").write_text(RECIPE)
    command = [sys.executable, "-m", "tfopt", "search", "tiny.py", "--trials", "3"]
    command += ["--minimize", "bytes", "--keep", "accuracy=-0.05"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(folder.glob("saved_models/tiny/trials/*/run.json"))) < 2:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    runs = {path: path.stat().st_mtime_ns for path in folder.glob("saved_models/tiny/trials/*/model.tflite")}
    assert len(runs) == 1
    again = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert again.returncode == 0, again.stderr
    assert {path: path.stat().st_mtime_ns for path in runs} == runs, "a finished trial was run again"
    (path,) = folder.glob("saved_models/tiny/search-*")
    return SearchResult.load(path), again.stdout


def test_every_trial_is_a_run(result):
    search, _ = result
    trials = search.record["trials"]
    assert [trial["status"] for trial in trials] == ["complete"] * 3
    assert trials[0]["values"] == {"width": 4}
    assert len({trial["values"]["width"] for trial in trials}) == 3
    for trial in trials:
        run = Run.load(search.path / trial["run"])
        assert run.complete
        assert run.record["recipe"]["values"] == trial["values"]


def test_figures_are_those_of_the_file(result):
    search, _ = result
    for trial in search.record["trials"]:
        run = Run.load(search.path / trial["run"])
        assert trial["figures"]["bytes"] == len(run.tflite)
        assert trial["figures"]["accuracy"] == run.record["stages"][-1]["validation"]["accuracy"]
        assert trial["figures"]["latency"] > 0


def test_the_best_is_the_smallest_that_keeps_its_accuracy(result):
    search, _ = result
    record = search.record
    feasible = [
        trial
        for trial in record["trials"]
        if trial["figures"]["accuracy"] >= record["baseline"]["metrics"]["accuracy"] - 0.05 - 1e-6
    ]
    smallest = min(feasible, key=lambda trial: trial["figures"]["bytes"], default=None)
    assert record["best"] == (smallest and smallest["number"])
    if smallest:
        assert len(search.best.tflite) == smallest["figures"]["bytes"]
        assert record["best"] in record["front"]
        assert len(search.front) == len(record["front"])


def test_the_table_shows_every_trial(result):
    search, output = result
    rows = [line.split() for line in output.splitlines() if line.split()[:1] in (["1"], ["2"], ["3"])]
    assert [row[-1] for row in rows] == [str(trial["values"]["width"]) for trial in search.record["trials"]]
    assert json.loads((search.path / "search.json").read_text())["status"] == "complete"


REGRESSION = textwrap.dedent(
    """
    import keras
    import numpy as np
    import tfopt

    def build(hp):
        generator = np.random.default_rng(0)
        x = generator.normal(size=(400, 8)).astype("float32")
        y = (x @ generator.normal(size=(8, 1))).astype("float32")
        units = hp.Int("units", 2, 64, default=16)
        return tfopt.Recipe(
            data=tfopt.data.from_arrays(x, y, num_classes=None),
            model=lambda: keras.Sequential([
                keras.Input((8,)), keras.layers.Dense(units, activation="relu"), keras.layers.Dense(1)
            ]),
            optimizer=lambda steps: keras.optimizers.Adam(1e-2),
            loss="mse",
            metrics=["mae"],
            stages=[tfopt.Train(epochs=2), tfopt.ExportTFLite("float32")],
        )
    """
)


def test_a_regression_is_searched_for_its_own_metrics_and_limits(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "regress.py").write_text(REGRESSION)
    result = tfopt.search(
        "regress.py", trials=4, minimize=["mae", "params"], keep={"mae": 5.0}, max={"macs": 1.0, "bytes": 0.9}
    )
    record = result.typed
    assert record.goal.directions == {"mae": "min", "params": "min"}
    for trial in record.trials:
        units = trial.values["units"]
        macs = 8 * units + units
        assert trial.is_rejected == (macs > 9 * 16 and trial.number > 1)
        assert trial.metrics["macs"] == macs
        if trial.is_complete:
            run = Run.load(result.path / trial.run)
            assert trial.metrics["mae"] == run.typed.stages[-1].validation["mae"]
            assert trial.metrics["params"] == 8 * units + units + units + 1
            assert (trial.metrics["epochs"], trial.metrics["training_macs"]) == (
                2,
                3 * 2 * run.typed.data.train * macs,
            )
            assert trial.feasible == (trial.metrics["bytes"] <= 0.9 * record.trial(1).metrics["bytes"])
    assert record.trial(1).violations.keys() == {"max bytes"}
    assert record.completed == 4
    best = record.best
    again = tfopt.Recipe.from_trial(f"{result.path}/{best}").run(tmp_path / "again", quiet=True)
    x = np.random.default_rng(1).normal(size=(20, 8)).astype("float32")
    np.testing.assert_array_equal(again.tflite.predict(x), result.best.tflite.predict(x))
