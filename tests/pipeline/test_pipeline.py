"""Whole runs of tiny pipelines."""

import json
import logging
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pytest

import tfopt
from tfopt import graph
from tfopt.data import from_arrays
from tfopt.errors import InvalidArgumentError, InvariantError, RunError, StageOrderError, VerificationError
from tfopt.pipeline import Pipeline, Run
from tfopt.run import run_folder
from tfopt.stages import Prune, Stage, Train


@pytest.fixture(scope="module")
def blobs():
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    return from_arrays(rng.normal(size=(120, 6)) + 2 * np.eye(3, 6)[labels], labels, name="blobs")


def model(dropout=0.3, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((6,), name="in")
    x = keras.layers.Dense(8, activation="relu", name="hidden")(inputs)
    x = keras.layers.Dropout(dropout, name="dropout")(x)
    made = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="out")(x), name="small")
    made.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return made


@dataclass(frozen=True)
class Double(Stage):
    """Multiplies the last bias by a number, without training."""

    title: ClassVar[str] = "doubled"
    factor: float = 2.0

    def apply(self, model, context):
        model.layers[-1].bias.assign(model.layers[-1].bias * self.factor)
        context.record["factor"] = self.factor
        return model


class Killed(BaseException):
    """Ends a run as abruptly as an exception can."""


class Stop(keras.callbacks.Callback):
    """Raises once, at the end of an epoch after its checkpoint or in its middle."""

    armed = False

    def on_epoch_begin(self, epoch, logs=None):
        if Stop.armed and epoch == 2:
            Stop.armed = False
            raise Killed


@pytest.fixture(scope="module")
def complete(blobs, tmp_path_factory):
    """A run that nothing disturbed."""
    out = tmp_path_factory.mktemp("runs")
    return Pipeline(STAGES).run(model(), blobs, out=out, batch_size=16, callbacks=[Stop()], quiet=True)


STAGES = [Train(epochs=3), Prune(0.5, epochs=4), Double()]


def results(run):
    return [
        {
            key: entry[key]
            for key in ("metrics", "validation", "history", "bytes", "compressed_bytes", "sparsity")
        }
        for entry in run.record["stages"]
    ]


def files(run):
    return {path.parent.name: path.read_bytes() for path in run.path.glob("stages/*/model.tflite")}


def test_the_record_tells_what_was_done(complete, blobs):
    record = complete.record
    assert record["status"] == "complete"
    assert record["id"] == complete.path.name == record["fingerprint"][:8]
    assert record["data"] == blobs.describe()
    assert record["model"]["parameters"] == 83
    assert record["strategy"] == {"name": "one_device", "replicas": 1}
    assert record["environment"]["keras"] == keras.__version__
    assert record == json.loads((complete.path / "run.json").read_text())

    train, prune, double = record["stages"]
    assert [entry["title"] for entry in record["stages"]] == ["trained", "pruned", "doubled"]
    assert train["config"] == {"class": "Train", "epochs": 3, "teacher": None}
    assert len(train["history"]["loss"]) == 3
    assert {"val_accuracy", "learning_rate", "grad_norm"} <= set(train["history"])
    assert len(prune["history"]["sparsity"]) == 4
    assert prune["sparsity"] == pytest.approx(0.5, abs=0.02)
    assert prune["macs"] == 6 * 8 + 8 * 3
    assert double["factor"] == 2.0
    assert double["history"] == {}
    assert train["latency"]["ratio"] == 1
    assert prune["latency"]["ratio"] > 0
    assert train["bytes"] == len(files(complete)["1-train"])


EXAMPLE = json.loads((Path(__file__).parents[2] / "saved_models" / "example" / "run.json").read_text())


def test_the_file_has_the_keys_of_before(complete):
    """The example was written before there were typed records."""
    written = json.loads((complete.path / "run.json").read_text())
    assert set(written) == set(EXAMPLE)
    for part in ("parts", "strategy", "model", "environment"):
        assert set(written[part]) == set(EXAMPLE[part]), part
    assert set(EXAMPLE["data"]) - set(written["data"]) == {"class_names"}  # which the data here lacks
    for stage, example in zip(written["stages"][:2], EXAMPLE["stages"], strict=False):
        assert set(stage) - set(example) <= {"weights", "params", "data_wait"}  # came later
        assert set(example) <= set(stage)
        assert set(stage["latency"]) == set(example["latency"])


def test_the_log_says_which_stage_begins_ends_and_is_reused(blobs, tmp_path, caplog):
    pipeline = Pipeline([Double(), Double()])

    def log(**arguments):
        caplog.clear()
        with caplog.at_level(logging.INFO, logger="tfopt.pipeline"):
            run = pipeline.run(model(), blobs, out=tmp_path, quiet=True, **arguments)
        own = [record.getMessage() for record in caplog.records if record.name.startswith("tfopt.pipeline")]
        return run, re.sub(r"\d+\.\d s", "N s", " | ".join(own))

    run, messages = log()
    for stage in ("0 start", "1 double", "2 double"):
        assert f"stage {stage}: begins | stage {stage}: complete after N s" in messages
    assert log()[1] == f"reusing the complete run {run.path}"
    stages = (*run.typed.stages[:2], replace(run.typed.stages[2], status="running"))
    run_folder.write_record(run.path, replace(run.typed, status="running", stages=stages))
    messages = log()[1]
    assert "stage 0 start: reused | stage 1 double: reused | stage 2 double: begins" in messages


def test_a_value_of_the_wrong_type_in_the_record_names_the_stage(blobs, tmp_path, monkeypatch):
    def apply(self, model, context):
        context.record["verification"] = "fine"
        return model

    monkeypatch.setattr(Double, "apply", apply)
    with pytest.raises(InvalidArgumentError, match=r"^Double\.apply .*verification: expected an object"):
        Pipeline([Double()]).run(model(), blobs, out=tmp_path, quiet=True)
    assert [stage.status for stage in Run.load(tmp_path).typed.stages] == ["complete", "failed"]


def test_stages_are_asked_what_they_can_do_once_where_a_run_begins(blobs, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(Double, "preflight", lambda self, *_: asked.append(self.factor))
    pipeline = Pipeline([Double(), Double(3.0)])
    run = pipeline.run(model(), blobs, out=tmp_path, quiet=True)
    assert asked == [2.0]  # the first one changes layers, for all that is known
    stages = (*run.typed.stages[:2], replace(run.typed.stages[2], status="running"))
    run_folder.write_record(run.path, replace(run.typed, status="running", stages=stages))
    pipeline.run(model(), blobs, out=tmp_path, quiet=True)  # goes on
    pipeline.run(model(), blobs, out=tmp_path, quiet=True)  # is complete
    assert asked == [2.0]
    pipeline.run(model(), blobs, out=tmp_path, quiet=True, fresh=True)
    assert asked == [2.0, 2.0]


def test_a_stage_that_comes_twice_is_found_by_its_number(blobs, tmp_path):
    given = model()
    given.layers[-1].bias.assign([1.0, 2.0, 3.0])
    run = Pipeline([Double(), Double(3.0)]).run(given, blobs, out=tmp_path, quiet=True)
    biases = [run.model(stage).layers[-1].bias.numpy().tolist() for stage in (0, 1, 2, "double")]
    assert biases == [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [6.0, 12.0, 18.0], [6.0, 12.0, 18.0]]


def test_the_folder_holds_all_and_nothing_unfinished(complete):
    names = {str(path.relative_to(complete.path)) for path in complete.path.rglob("*") if path.is_file()}
    logs = {name for name in names if name.startswith("logs/")}
    assert names - logs == {
        ".lock",
        "run.json",
        "report.html",
        *(
            f"stages/{stage}/model.{kind}"
            for stage in ("1-train", "2-prune", "3-double")
            for kind in ("keras", "tflite")
        ),
    }
    assert any("1-train" in name for name in logs)


def test_models_of_the_stages_load_and_predict(complete, blobs):
    x, y = blobs.split("test")
    pruned = complete.model("prune")
    accuracy = float(np.mean(pruned.predict(x, verbose=0).argmax(axis=1) == y))
    assert accuracy == pytest.approx(complete.record["stages"][1]["metrics"]["accuracy"], abs=1e-6)
    np.testing.assert_array_equal(complete.model(2).get_weights()[0], pruned.get_weights()[0])
    assert complete.model().get_weights()[-1] == pytest.approx(2 * pruned.get_weights()[-1])


def test_the_same_again_trains_nothing_and_says_so(complete, blobs, capsys):
    before = (complete.path / "run.json").stat().st_mtime_ns
    again = Pipeline(STAGES).run(model(), blobs, out=complete.path.parent, batch_size=16, callbacks=[Stop()])
    assert again.path == complete.path
    assert (complete.path / "run.json").stat().st_mtime_ns == before
    assert "is complete: nothing is trained again" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("when", ["in an epoch", "after an epoch", "between stages"])
def test_a_run_that_was_cut_off_has_the_same_result(complete, blobs, tmp_path, when, monkeypatch):
    def run():
        return Pipeline(STAGES).run(
            model(), blobs, out=tmp_path, batch_size=16, callbacks=[Stop()], quiet=True
        )

    if when == "after an epoch":  # in Prune, whose schedule is under way
        monkeypatch.setattr(Stop, "on_epoch_begin", _stop_at(epoch=3))
    elif when == "between stages":
        monkeypatch.setattr(Double, "apply", _raise)
    Stop.armed = when == "in an epoch"
    with pytest.raises(Killed):
        run()
    assert Run.load(tmp_path).record["status"] == "interrupted"
    monkeypatch.undo()
    assert results(run()) == results(complete)
    assert files(Run.load(tmp_path)) == files(complete)


def _stop_at(epoch):
    def on_epoch_begin(self, current, logs=None):
        if current == epoch:
            raise Killed

    return on_epoch_begin


def _raise(*_):
    raise Killed


def test_fresh_starts_anew(complete, blobs):
    again = Pipeline(STAGES).run(
        model(), blobs, out=complete.path.parent, batch_size=16, callbacks=[Stop()], quiet=True, fresh=True
    )
    assert again.path.name == f"{complete.path.name}-2"
    assert results(again) == results(complete)


def test_early_stopping_is_resumed_with_what_it_knew(blobs, tmp_path):
    stages = [Train(epochs=6)]
    stop = keras.callbacks.EarlyStopping("val_loss", patience=2, min_delta=10.0, restore_best_weights=True)

    def run(out):
        return Pipeline(stages).run(
            model(), blobs, out=out, batch_size=16, callbacks=[stop, Stop()], quiet=True
        )

    whole = run(tmp_path / "whole")
    assert len(whole.record["stages"][0]["history"]["loss"]) == 3
    Stop.armed = True
    with pytest.raises(Killed):
        run(tmp_path / "cut")
    resumed = run(tmp_path / "cut")
    assert results(resumed) == results(whole)
    np.testing.assert_array_equal(resumed.model().get_weights()[0], whole.model().get_weights()[0])


def test_a_stage_that_fails_is_recorded_and_tried_again(blobs, tmp_path, monkeypatch):
    pipeline = Pipeline([Train(epochs=1), Double()])
    with monkeypatch.context() as patch:
        patch.setattr(Double, "apply", lambda self, model, context: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            pipeline.run(model(), blobs, out=tmp_path, quiet=True)
    record = Run.load(tmp_path).record
    assert record["status"] == "failed"
    assert record["error"] == "ZeroDivisionError: division by zero"
    assert not list(tmp_path.glob("*/stages/2-double/model*"))
    assert pipeline.run(model(), blobs, out=tmp_path, quiet=True).complete


def test_a_run_that_does_not_go_on_says_why(blobs, tmp_path, capsys):
    pipeline = Pipeline([Double()])
    run = pipeline.run(model(), blobs, out=tmp_path, quiet=True)
    run_folder.write_record(run.path, replace(run.typed, status="running"))
    pipeline.run(model(seed=1), blobs, out=tmp_path)
    assert "which was interrupted: the weights differ." in " ".join(capsys.readouterr().err.split())


def test_a_stage_that_undoes_an_earlier_one_is_refused(blobs, tmp_path):
    @dataclass(frozen=True)
    class Refill(Stage):
        title: ClassVar[str] = "refilled"

        def apply(self, model, context):
            model.get_layer("hidden").kernel.assign(np.ones((6, 8)))
            return model

    pipeline = Pipeline([Train(epochs=1), Prune(0.5, epochs=1), Refill()])
    with pytest.raises(InvariantError, match="no longer zero"):
        pipeline.run(model(), blobs, out=tmp_path, quiet=True)
    assert Run.load(tmp_path).record["status"] == "failed"
    assert not list(tmp_path.glob("*/stages/3-refill/*"))


def test_the_last_row_is_measured_on_the_file_itself(blobs, tmp_path):
    run = Pipeline([Train(epochs=2), tfopt.ExportTFLite("int8")]).run(
        model(), blobs, out=tmp_path, quiet=True
    )
    x, y = blobs.split("test")
    predicted = run.tflite.predict(x)
    entry = run.record["stages"][-1]
    assert entry["title"] == "int8 TFLite"
    assert entry["metrics"]["accuracy"] == pytest.approx(float(np.mean(predicted.argmax(axis=1) == y)))
    expected = -np.log(np.clip(predicted[np.arange(len(y)), y], 1e-7, 1))
    assert entry["metrics"]["loss"] == pytest.approx(float(expected.mean()), rel=0.02)
    assert entry["bytes"] == len(bytes(run.tflite)) == (run.path / "model.tflite").stat().st_size
    assert entry["verification"]["passed"]
    assert run.model().name == "small"


def test_a_file_that_fails_its_tolerance_is_kept_under_a_name_that_says_so(blobs, tmp_path, monkeypatch):
    monkeypatch.setattr("tfopt.export.runtime.verify.Verification.passed", False)
    with pytest.raises(VerificationError):
        Pipeline([tfopt.ExportTFLite("int8")]).run(model(), blobs, out=tmp_path, quiet=True)
    run = Run.load(tmp_path)
    assert run.record["status"] == run.record["stages"][-1]["status"] == "failed"
    assert [path.name for path in (run.path / "stages/1-export_tflite").iterdir()] == ["model.failed.tflite"]
    assert not (run.path / "model.tflite").exists()


def test_averaged_weights_keep_their_zeros(blobs, tmp_path):
    averaged = model()
    averaged.compile(keras.optimizers.Adam(0.01, use_ema=True), "sparse_categorical_crossentropy")
    pipeline = Pipeline([Prune(0.5, epochs=1), Train(epochs=1)])
    run = pipeline.run(averaged, blobs, out=tmp_path, quiet=True)
    assert run.record["stages"][-1]["sparsity"] == pytest.approx(0.5, abs=0.02)


def test_the_model_as_given_stands_first_where_nothing_trains_it(blobs, tmp_path):
    given = model()
    weights = given.get_weights()
    run = Pipeline([Double()]).run(given, blobs, out=tmp_path, quiet=True)
    assert [entry["title"] for entry in run.record["stages"]] == ["as given", "doubled"]
    np.testing.assert_array_equal(given.get_weights()[0], weights[0])
    assert run.model(0).count_params() == given.count_params()


def test_two_devices_train_as_one(blobs, tmp_path, two_devices):
    def run(out, strategy):
        pipeline = Pipeline([Prune(0.5, epochs=2)])
        return pipeline.run(model(dropout=0), blobs, out=out, strategy=strategy, batch_size=16, quiet=True)

    one, two = run(tmp_path / "one", "one_device"), run(tmp_path / "two", two_devices)
    assert two.record["strategy"] == {"name": "mirrored", "replicas": 2}
    for a, b in zip(one.model().get_weights(), two.model().get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_run_that_another_process_writes(blobs, tmp_path):
    pipeline = Pipeline([Double()])
    run = pipeline.run(model(), blobs, out=tmp_path, quiet=True)
    run_folder.write_record(run.path, replace(run.typed, status="running"))
    with run_folder.locked(run.path), pytest.raises(RunError, match="Another process"):
        pipeline.run(model(), blobs, out=tmp_path, quiet=True)


def test_what_is_refused_before_any_training(blobs, tmp_path):
    pipeline = Pipeline([Train(epochs=1)])
    plain = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    with pytest.raises(InvalidArgumentError, match=r"has no loss.*Call model\.compile"):
        pipeline.run(plain, blobs, out=tmp_path)
    with pytest.raises(InvalidArgumentError, match="batch_size to be a whole number >= 1, got 0"):
        pipeline.run(model(), blobs, out=tmp_path, batch_size=0)
    with pytest.raises(InvalidArgumentError, match=r"data must be a tfopt\.data\.Dataset, .*got tuple"):
        pipeline.run(model(), (1, 2), out=tmp_path)
    with pytest.raises(InvalidArgumentError, match="Unknown strategy"):
        pipeline.run(model(), blobs, out=tmp_path, strategy="many")
    with pytest.raises(StageOrderError):
        Pipeline([tfopt.stages.QuantizeAware(), Prune(0.5)])
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Watch(Stage):
    """Trains, and says whether batch normalization was fused before and after."""

    title: ClassVar[str] = "watched"

    def apply(self, model, context):
        before = graph.is_fused(model)
        context.fit(model, epochs=1)
        context.record["fused"] = [before, graph.is_fused(model)]
        return model


def test_every_stage_of_a_run_trains_with_fused_batch_normalization(blobs, tmp_path):
    images = from_arrays(np.resize(blobs.x_train, (90, 2, 2, 6)), np.arange(90) % 3, name="images")
    keras.utils.set_random_seed(0)
    layers = [keras.layers.BatchNormalization(), keras.layers.Flatten(), keras.layers.Dense(3, "softmax")]
    first = keras.Sequential([keras.Input((2, 2, 6)), *layers], name="normalized")
    first.compile("sgd", "sparse_categorical_crossentropy")
    run = Pipeline([Watch(), Watch()]).run(first, images, out=tmp_path, quiet=True)
    assert [stage["fused"] for stage in run.record["stages"][1:]] == [[False, True]] * 2


@dataclass(frozen=True)
class WithByProduct(Double):
    """Writes a file of its own beside the model that it returns."""

    by_product: str = "model.tflite"

    def apply(self, model, context):
        (context.directory / self.by_product).write_bytes(b"mine")
        model.layers[-1].bias.assign(model.layers[-1].bias + 1.0)
        return super().apply(model, context)


@dataclass(frozen=True)
class OwnExport(Stage):
    """Exports through the context, under a title of its own."""

    title: ClassVar[str] = "exported"

    def apply(self, model, context):
        context.export(tfopt.to_tflite(model, "dynamic"))
        return model


@pytest.mark.parametrize("name", ["model.tflite", "other.tflite"])
def test_a_stage_may_write_files_of_any_name(blobs, tmp_path, name):
    run = Pipeline([WithByProduct(factor=3.0, by_product=name), Train(epochs=1)]).run(
        model(), blobs, out=tmp_path, quiet=True
    )
    assert run.complete
    first = next(entry for entry in run.record["stages"] if entry["title"] == "doubled")
    np.testing.assert_array_equal(run.model(1).layers[-1].bias.numpy(), np.full(3, 3.0, np.float32))
    assert first["factor"] == 3.0
    assert (run.path / first["model"]).with_name(name).read_bytes() == b"mine"
    assert tfopt.TFLiteModel(run.path / first["file"]).inputs


def test_a_stage_of_ones_own_exports_through_the_context(blobs, tmp_path):
    run = Pipeline([Double(), OwnExport()]).run(model(), blobs, out=tmp_path, quiet=True)
    entry = run.record["stages"][-1]
    assert entry["model"] is None
    assert bytes(run.tflite) == (run.path / entry["file"]).read_bytes()
