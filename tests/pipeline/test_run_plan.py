"""The plan of a run: its stages, their seeds, what its fingerprint depends on, and its first record."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfopt
from tfopt.data import from_arrays
from tfopt.pipeline.run_config import RunConfig
from tfopt.pipeline.run_plan import RunPlan
from tfopt.pipeline.training.compilation import Compilation
from tfopt.run.run_record import RecipeRecord, RunRecord

X = np.random.default_rng(0).random((60, 4))
DATA = from_arrays(X, np.arange(60) % 3, name="four")
STAGES = [tfopt.Prune(0.5, epochs=2), tfopt.QuantizeAware(epochs=0), tfopt.ExportTFLite()]


def model(seed=0):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="head")], name="small")


def plan(made=None, **changes):
    arguments = {
        "caller": "Pipeline",
        "name": "test",
        "data": DATA,
        "stages": STAGES,
        "compilation": Compilation.of("mse", [], optimizer=keras.optimizers.SGD(0.1)),
        "callbacks": (),
        "batch_size": 16,
        "seed": 0,
        "strategy": tf.distribute.get_strategy(),
    }
    return RunPlan(config=RunConfig(**(arguments | changes)), model=made or model(), warnings=("careful",))


def test_the_model_as_given_comes_first_where_nothing_trains_it():
    assert [(each.number, each.name, each.epochs) for each in plan().stages] == [
        (0, "start", 0),
        (1, "prune", 2),
        (2, "quantize_aware", 0),
        (3, "export_tflite", 0),
    ]
    assert [each.folder for each in plan(stages=[tfopt.Train()]).stages] == ["stages/1-train"]


def test_each_stage_has_a_seed_of_its_own_that_stays():
    seeds = [plan(seed=seed).stage_seed(number) for seed in (0, 1) for number in (0, 1, 2)]
    assert len(set(seeds)) == 6
    assert plan(seed=1).stage_seed(2) == seeds[-1]
    assert all(0 <= seed < 2**31 for seed in seeds)


CHANGES = {
    "weights": {"made": 1},
    "compilation": {"compilation": Compilation.of("mae", [], optimizer=keras.optimizers.SGD(0.1))},
    "stages": {"stages": [tfopt.Prune(0.6, epochs=2), *STAGES[1:]]},
    "callbacks": {"callbacks": [keras.callbacks.TerminateOnNaN()]},
    "data": {"data": from_arrays(X + 1, np.arange(60) % 3, name="four")},
    "seed": {"seed": 1},
    "batch size": {"batch_size": 8},
}


@pytest.mark.parametrize("part", CHANGES)
def test_what_is_changed_changes_its_part_of_the_fingerprint(part):
    changes = dict(CHANGES[part])
    made = model(changes.pop("made", 0))
    before, after = plan().parts(), plan(made, **changes).parts()
    assert part in {name for name in before if before[name] != after[name]}
    assert before == plan().parts()


def test_the_name_of_a_run_and_its_caller_are_no_part():
    assert plan().parts() == plan(name="other", caller="Recipe").parts()


def test_a_function_of_steps_and_the_same_optimizer_have_the_same_digest():
    made = []

    def optimizer(steps):
        made.append(steps)
        return keras.optimizers.SGD(0.1)

    planned = plan(compilation=Compilation.of("mse", [], make_optimizer=optimizer))
    assert made == [2 * DATA.steps_per_epoch(16)]
    assert set(planned.optimizers) == {1}
    assert planned.parts()["optimizers"] == plan().parts()["optimizers"]
    assert len(made) == 1


def test_the_record_of_a_run_that_begins(tmp_path):
    asked = []

    def recipe():
        asked.append(True)
        return RecipeRecord(file="r.py", values={"width": 3})

    planned = plan(recipe=recipe)
    assert not asked
    record = planned.record(tmp_path / "abc", "digest", {"data": "0123456789"})
    assert (record.id, record.fingerprint, record.parts) == ("abc", "digest", {"data": "01234567"})
    assert (record.status, record.warnings) == ("running", ("careful",))
    assert record.recipe == RecipeRecord(file="r.py", values={"width": 3})
    assert [stage.status for stage in record.stages] == ["pending"] * 4
    assert record.stages[1].config["sparsity"] == 0.5
    # Tuples of the stages' configs are lists in the file.
    assert RunRecord.from_json(record.to_json()).to_json() == record.to_json()
    assert dataclasses.replace(record, stages=()).to_json()["data"] == DATA.describe()
