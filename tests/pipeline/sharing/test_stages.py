"""Runs of one recipe in one folder, of which the second takes from the first what both have in common."""

import dataclasses
import json
import shutil
import textwrap

import numpy as np
import pytest

import tfopt
from tests.at_length import some
from tfopt.pipeline import Run, execution
from tfopt.pipeline.sharing import stages as shared_stages
from tfopt.pipeline.sharing.inputs import stage_inputs
from tfopt.recipe.recipe import Recipe
from tfopt.report import text
from tfopt.report.html import page
from tfopt.run import run_folder

RECIPE = textwrap.dedent(
    """
    from dataclasses import dataclass
    from typing import ClassVar

    import keras
    import numpy as np

    import tfopt

    @dataclass(frozen=True)
    class Noise(tfopt.stages.Stage):
        title: ClassVar[str] = "noisy"
        size: float = 0.1
        epochs: int = 0

        def apply(self, model, context):
            bias = model.layers[-1].bias
            bias.assign(bias + self.size * keras.random.normal(bias.shape))  # of the process's random state
            (context.directory / "by-product.txt").write_text(str(self.size))
            context.record["size"] = self.size
            return model

    def data():
        rng = np.random.default_rng(0)
        labels = np.arange(120) % 3
        samples = rng.normal(size=(120, 6)) + 2 * np.eye(3, 6)[labels]
        return tfopt.data.from_arrays(samples, labels, name="blobs")

    def model(width):
        inputs = keras.Input((6,), name="in")
        x = keras.layers.Dense(width, activation="relu", name="hidden")(inputs)
        x = keras.layers.Dropout(0.3, name="dropout")(x)
        outputs = keras.layers.Dense(3, activation="softmax", name="out")(x)
        return keras.Model(inputs, outputs, name="small")

    def callbacks(hp):
        patience = hp.Int("patience", 0, 9, default=0)
        if patience == 9:
            return [keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: patience)]
        return [keras.callbacks.EarlyStopping("loss", patience=patience)] if patience else []

    def build(hp):
        return tfopt.Recipe(
            data=data(),
            model=lambda: model(hp.Int("width", 4, 16, default=8)),
            optimizer=lambda steps: keras.optimizers.Adam(hp.Float("lr", 1e-3, 1e-1, default=1e-2)),
            callbacks=callbacks(hp),
            stages=[
                tfopt.Train(epochs=2),
                Noise(),
                tfopt.Prune(sparsity=hp.Float("sparsity", 0.1, 0.9, default=0.5), epochs=1),
            ],
            batch_size=16,
        )
    """
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipe") / "blobs.py"
    path.write_text(RECIPE)
    return path


@pytest.fixture(scope="module")
def first(file, tmp_path_factory):
    """A folder with one run; each test takes a copy."""
    out = tmp_path_factory.mktemp("runs")
    run(file, out)
    return out


@pytest.fixture
def out(first, tmp_path):
    return shutil.copytree(first, tmp_path / "runs")


def run(file, out, share=True, seed=None, **values):
    return Recipe.from_file(file, values).run(out, share=share, seed=seed, quiet=True)


def taken(run):
    return [stage.name for stage in run.typed.stages if stage.taken_from]


MEASURED = ("metrics", "validation", "history", "bytes", "compressed_bytes", "weights", "macs", "classes")


def results(run):
    """What a run came to, to the last bit; latencies and seconds are those of the moment."""
    records = [{key: stage[key] for key in MEASURED} for stage in run.record["stages"]]
    weights = [run.model(stage.number).get_weights() for stage in run.typed.stages]
    files = {path.parent.name: path.read_bytes() for path in run.path.glob("stages/*/model.tflite")}
    return records, files, weights


def same(one, other):
    (*ours, mine), (*theirs, its) = results(one), results(other)
    assert ours == theirs
    for layers, others in zip(mine, its, strict=True):
        for array, expected in zip(layers, others, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_stages_in_common_are_taken_and_the_result_is_the_same_to_the_last_bit(file, out, tmp_path):
    donor = Run.load(out)
    assert not taken(donor)
    shared, alone = run(file, out, sparsity=0.8), run(file, tmp_path / "alone", share=False, sparsity=0.8)
    same(shared, alone)
    assert taken(shared) == ["train", "noise"]
    train, noise, prune = shared.typed.stages
    assert train.taken_from == noise.taken_from == donor.path.name
    assert train.seconds == donor.typed.stages[0].seconds
    assert (shared.typed.epochs, donor.typed.epochs) == (1, 3)
    assert shared.typed.own_seconds == prune.seconds
    assert shared.typed.seconds == train.seconds + noise.seconds + prune.seconds
    assert (shared.path / "stages/2-noise/by-product.txt").read_text() == "0.1"
    assert shared.record["stages"][1]["size"] == 0.1
    assert f"taken from other runs: trained from {donor.path.name}, noisy from" in " ".join(
        text(shared.typed).split()
    )
    assert f" in {donor.path.name}</td>" in page(shared.typed)
    # A third one: what was taken is not passed on, but the first run still has it.
    assert taken(run(file, out, sparsity=0.3)) == ["train", "noise"]


def plan_of(file, seed=None, **values):
    """The plan of a run that is not carried out, and the code of its recipe."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "execute", lambda plan, out, **about: made.append((plan, about["source"])))
        Recipe.from_file(file, values).run("unused", share=True, seed=seed)
    return made[0]


def inputs_of(file, **values):
    return stage_inputs(*plan_of(file, **values))


def test_digests_of_stages_differ_from_where_runs_do(file, tmp_path):
    before = inputs_of(file)
    assert sorted(before) == [1, 2, 3]
    assert inputs_of(file) == before
    last = inputs_of(file, sparsity=0.8)
    assert [number for number in last if last[number] != before[number]] == [3]
    for change in ({"width": 9}, {"lr": 0.02}, {"seed": 1}, {"patience": 5}):
        assert not {*inputs_of(file, **change).values()} & {*before.values()}, change
    edited = tmp_path / "blobs.py"
    edited.write_text(RECIPE + "# whatever this changes\n")
    assert not {*inputs_of(edited).values()} & {*before.values()}


def test_what_hides_what_it_does_is_not_shared(file, monkeypatch):
    assert inputs_of(file, patience=9) == {}  # a callback of a function
    plan, source = plan_of(file)

    class Hidden(tfopt.stages.Stage):  # it may train, with an optimizer that nobody has seen
        pass

    stages = [plan.config.stages[0], Hidden(), plan.config.stages[2]]
    plan = dataclasses.replace(plan, config=dataclasses.replace(plan.config, stages=stages))
    assert [*stage_inputs(plan, source)] == [1]


def test_stages_that_look_at_the_file_differ_by_its_scheme(file):
    def digests(*stages):
        plan, source = plan_of(file)
        plan = dataclasses.replace(plan, config=dataclasses.replace(plan.config, stages=stages))
        return [*stage_inputs(plan, source).values()]

    start = (tfopt.Train(epochs=1), tfopt.Cluster(clusters=4, epochs=1))
    int8, float32 = digests(*start, tfopt.ExportTFLite("int8")), digests(*start, tfopt.ExportTFLite())
    assert [one == other for one, other in zip(int8, float32, strict=True)] == [True, False, False]


def test_a_run_alone_shares_nothing(file, tmp_path):
    alone = run(file, tmp_path, share=False)
    assert "inputs" not in json.dumps(alone.record)
    assert not (tmp_path / shared_stages.FOLDER).exists()
    assert not taken(run(file, tmp_path, sparsity=0.8))


def _cut(out):
    path = Run.load(out).path / "stages/1-train/model.keras"
    path.write_bytes(path.read_bytes()[:100])


def _half_done(out):
    donor = Run.load(out)
    stages = [dataclasses.replace(donor.typed.stages[0], status="running"), *donor.typed.stages[1:]]
    run_folder.write_record(donor.path, dataclasses.replace(donor.typed, stages=tuple(stages)))


def _gone(out):
    shutil.rmtree(Run.load(out).path)


def _no_record(out):
    (Run.load(out).path / "run.json").write_text("{")


def _wrong_pointers(out):
    for pointer in (out / shared_stages.FOLDER).iterdir():
        pointer.write_text("../runs")


@pytest.mark.parametrize("damage", [_cut, _half_done, _gone, _no_record, _wrong_pointers])
def test_what_the_other_run_does_not_have_whole_is_not_taken(file, out, damage):
    plan, source = plan_of(file, sparsity=0.8)
    shared = shared_stages.SharedStages(out / "another", stage_inputs(plan, source))
    assert shared.take(plan.stages[0]) is not None
    damage(out)
    assert shared.take(plan.stages[0]) is None


class Killed(BaseException):
    """Ends a run as abruptly as an exception can."""


@pytest.mark.parametrize("copied", some(range(5), (1, 3)))
def test_killed_between_any_two_copied_files(file, out, tmp_path, monkeypatch, copied):
    real, left = shared_stages.write_atomically, [copied]

    def counted(path, content):
        if not left[0]:
            raise Killed
        left[0] -= 1
        real(path, content)

    monkeypatch.setattr(shared_stages, "write_atomically", counted)
    with pytest.raises(Killed):
        run(file, out, sparsity=0.8)
    monkeypatch.undo()
    again = run(file, out, sparsity=0.8)
    assert taken(again) == ["train", "noise"]
    same(again, run(file, tmp_path / "alone", share=False, sparsity=0.8))


def test_a_stage_that_changes_while_it_is_copied_is_not_taken(file, out, monkeypatch):
    plan, source = plan_of(file, sparsity=0.8)
    real = shared_stages._copy

    def copy(source, target):
        done = real(source, target)
        _half_done(out)
        return done

    monkeypatch.setattr(shared_stages, "_copy", copy)
    shared = shared_stages.SharedStages(out / "another", stage_inputs(plan, source))
    assert shared.take(plan.stages[0]) is None


def test_two_runs_that_begin_at_once_both_train_and_agree(file, tmp_path, monkeypatch):
    """The second one begins, and ends, between two stages of the first."""
    out, began = tmp_path / "runs", []
    real = shared_stages.SharedStages.announce

    def announce(self, stage):
        if not began:
            began.append(None)
            began[0] = run(file, out, sparsity=0.8)
        real(self, stage)

    monkeypatch.setattr(shared_stages.SharedStages, "announce", announce)
    one = run(file, out)
    (other,) = began
    assert not taken(other)
    # The first found what the second had done meanwhile.
    assert taken(one) == ["noise"]
    same(one, run(file, tmp_path / "alone", share=False))
    same(other, run(file, tmp_path / "alone", share=False, sparsity=0.8))


def test_a_run_that_was_cut_off_takes_what_was_done_meanwhile(file, out, tmp_path):
    cut = shutil.copytree(out, tmp_path / "cut")
    shared = run(file, cut, sparsity=0.8)
    stage = shared.path / "stages/1-train"
    (stage / "checkpoint-1.npz").write_bytes(b"of an interrupted training")
    stages = tuple(dataclasses.replace(each, status="pending") for each in shared.typed.stages)
    run_folder.write_record(shared.path, dataclasses.replace(shared.typed, status="running", stages=stages))
    assert taken(run(file, cut, sparsity=0.8)) == ["train", "noise"]
    assert not (stage / "checkpoint-1.npz").exists()


def test_a_stage_that_was_taken_is_judged_by_the_epochs_of_the_other_run(file, out):
    asked = []

    def gate(progress):
        asked.append(progress)
        return False

    shared = Recipe.from_file(file, {"sparsity": 0.8}).run(out, share=True, gate=gate, quiet=True)
    assert shared.typed.status == "stopped"
    assert [stage.status for stage in shared.typed.stages] == ["complete", "pending", "pending"]
    assert shared.typed.epochs == 0
    (progress,) = asked
    assert (progress.epochs, len(progress.history["val_accuracy"])) == (2, 2)
