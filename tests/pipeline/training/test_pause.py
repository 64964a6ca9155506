"""Runs that a gate stops, and that go on."""

import json

import keras
import numpy as np
import pytest

import tfopt
from tfopt.pipeline import Run
from tfopt.report import text
from tfopt.run import run_folder
from tfopt.run.run_record import RunRecord


@pytest.fixture(scope="module")
def recipe():
    """A recipe whose result depends on the step, on random masks and on what a callback has seen."""
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    samples = rng.normal(size=(120, 6)) + 2 * np.eye(3, 6)[labels]

    def model():
        inputs = keras.Input((6,), name="in")
        x = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
        x = keras.layers.Dropout(0.3, name="dropout")(x)
        return keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="out")(x), name="small")

    return tfopt.Recipe(
        data=tfopt.data.from_arrays(samples, labels, name="blobs"),
        model=model,
        optimizer=lambda steps: keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.02, steps)),
        # Ends the training after its fourth epoch, by what it has seen before and after a pause.
        callbacks=lambda: [
            keras.callbacks.EarlyStopping("loss", patience=3, min_delta=10.0, restore_best_weights=True)
        ],
        stages=[tfopt.Train(epochs=5), tfopt.Prune(sparsity=0.5, epochs=1)],
        batch_size=16,
    )


class Gate:
    """Lets a run go on after each epoch but some, and after those once it is asked again."""

    def __init__(self, *stops):
        self.stops, self.asked = list(stops), []

    def __call__(self, progress):
        self.asked.append(progress)
        if progress.epochs in self.stops:
            self.stops.remove(progress.epochs)
            return False
        return True


def results(run):
    keys = ("metrics", "validation", "history", "bytes", "sparsity", "learning_rate")
    return [{key: stage[key] for key in keys} for stage in run.record["stages"]]


def test_a_run_that_pauses_and_goes_on_equals_one_that_does_not_to_the_last_bit(recipe, tmp_path):
    whole = recipe.run(tmp_path / "whole", quiet=True)
    gate = Gate(2, 5)  # in the first stage, and when it is complete
    paused = recipe.run(tmp_path / "paused", gate=gate, quiet=True)
    train = paused.typed.stages[0]
    assert [paused.typed.status, *(stage.status for stage in paused.typed.stages)] == [
        *("stopped", "stopped", "pending")
    ]
    assert paused.typed.epochs == train.epochs == 2
    assert paused.typed.seconds == train.seconds > 0
    assert "Stopped by its search after 2 epochs" in text(paused.typed)
    assert Run.load(paused.path).typed.status == "stopped"
    assert list(paused.typed.stages[0].history["loss"]) == whole.record["stages"][0]["history"]["loss"][:2]
    again = recipe.run(tmp_path / "paused", gate=gate, quiet=True)
    assert (again.path, again.typed.status) == (paused.path, "stopped")
    assert [stage.status for stage in again.typed.stages] == ["complete", "pending"]
    last = recipe.run(tmp_path / "paused", gate=gate, quiet=True)
    assert last.complete
    assert [progress.epochs for progress in gate.asked] == [1, 2, 2, 3, 5, 5]
    assert last.typed.stages[0].epochs == 4
    assert results(last) == results(whole)
    for number in (1, 2):
        ours, theirs = last.model(number).get_weights(), whole.model(number).get_weights()
        for array, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(array, expected)
    assert not [*last.path.rglob("checkpoint-*")]


def test_a_gate_hears_of_the_run(recipe, tmp_path):
    gate = Gate(1)
    run = recipe.run(tmp_path, gate=gate, quiet=True)
    (progress,) = gate.asked
    assert progress.run == run.path.name
    assert (progress.stage_epochs, progress.run_epochs) == (5, 6)
    assert (progress.parameters, progress.macs) == (83, 6 * 8 + 8 * 3)
    assert {"val_accuracy", "val_loss"} <= {*progress.history}
    # A run that was cut off between the epoch and the answer is asked again before it trains.
    record = json.loads((run.path / "run.json").read_text())
    run_folder.write_record(run.path, RunRecord.from_json(record | {"status": "running"}))
    gate.stops = [1]
    assert recipe.run(tmp_path, gate=gate, quiet=True).typed.status == "stopped"
    assert [each.epochs for each in gate.asked] == [1, 1]


def test_without_a_gate_a_stopped_run_goes_on(recipe, tmp_path):
    recipe.run(tmp_path, gate=Gate(3), quiet=True)
    assert recipe.run(tmp_path, quiet=True).complete
