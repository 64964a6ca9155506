"""Damage to the folder of a run: the next call repairs it or says in one sentence what to do."""

import errno
import json
import os
import shutil
import zipfile

import keras
import numpy as np
import pytest

import tfopt
from tests.at_length import some
from tfopt import files
from tfopt.errors import RunError
from tfopt.pipeline import Run
from tfopt.pipeline.stage_context import StageContext
from tfopt.run import file_lock, run_folder

TRAINED = "stages/1-train/model.keras"
MEASURED = "stages/1-train/model.tflite"
EXPORTED = "stages/2-export_tflite/model.tflite"


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 60)
    x = rng.normal(size=(60, 4)).astype(np.float32) + 2 * y[:, None]
    return tfopt.data.from_arrays(x, y, class_names=["low", "high"], name="blobs")


@pytest.fixture
def again(data, capsys):
    """Call the same run in a folder; return it and what was said, in one line."""

    def run(out):
        keras.utils.set_random_seed(0)
        layers = [keras.Input((4,), name="in"), keras.layers.Dense(2, "softmax", name="head")]
        model = keras.Sequential(layers, name="small")
        model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
        stages = [tfopt.Train(epochs=1), tfopt.ExportTFLite("float32")]
        done = tfopt.Pipeline(stages).run(model, data, out=out, batch_size=32)
        return done, " ".join(capsys.readouterr().err.split())

    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return tmp_path_factory.mktemp("finished")


@pytest.fixture
def folder(again, finished, tmp_path):
    """A copy of a finished run, made once, in a folder of runs."""
    if not list(finished.iterdir()):
        again(finished)
    shutil.copytree(finished, tmp_path / "runs")
    return next((tmp_path / "runs").iterdir())


def missing(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def emptied(name):
    return lambda folder: (folder / name).write_bytes(b"")


def cut(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:-40])


def changed(name):
    def change(folder):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 255
        (folder / name).write_bytes(content)

    return change


def recorded(**changes):
    """Change what run.json says; `None` takes an entry out."""

    def change(folder):
        record = json.loads((folder / "run.json").read_text()) | changes
        record = {name: value for name, value in record.items() if value is not None}
        (folder / "run.json").write_text(json.dumps(record))

    return change


def without_digests(folder):
    record = json.loads((folder / "run.json").read_text())
    for entry in record["stages"]:
        del entry["files"]
    (folder / "run.json").write_text(json.dumps(record))


def killed(stage):
    """Make a run that was killed in its last stage, or in its first one."""

    def change(folder):
        record = json.loads((folder / "run.json").read_text())
        record["status"] = "running"
        for entry in record["stages"][stage - 1 :]:
            entry["status"] = "pending"
        record["stages"][stage - 1]["status"] = "running"
        (folder / "run.json").write_text(json.dumps(record))
        (folder / "model.tflite").unlink()

    return change


def both(*changes):
    return lambda folder: [change(folder) for change in changes]


def a_file_in_the_place_of(name):
    def change(folder):
        shutil.rmtree(folder / name)
        (folder / name).write_text("")

    return change


OTHER = {"tfopt": "0.0.1"}

# name: damage, what is said when it is repaired, whether in the same folder, what Run.load finds before.
REPAIRED = {
    "shipped file missing": (missing("model.tflite"), "is damaged and is repaired", True, "damaged"),
    "shipped file empty": (emptied("model.tflite"), "is damaged and is repaired", True, "damaged"),
    "shipped file cut": (cut("model.tflite"), "missing or changed are model.tflite", True, "damaged"),
    "shipped file changed": (
        changed("model.tflite"),
        "missing or changed are model.tflite",
        True,
        "complete",
    ),
    "stage's file missing": (missing(EXPORTED), f"{EXPORTED} was missing or changed and is", True, "damaged"),
    "both files missing": (
        missing("model.tflite", EXPORTED),
        "The stage export_tflite and those after it are repeated",
        True,
        "damaged",
    ),
    "measured file missing": (
        missing(MEASURED),
        f"{MEASURED} was missing or changed and is",
        True,
        "damaged",
    ),
    "model missing": (missing(TRAINED), f"Missing or changed: {TRAINED}. The stage train", True, "damaged"),
    "model empty": (emptied(TRAINED), f"Missing or changed: {TRAINED}. The stage train", True, "damaged"),
    "model cut": (cut(TRAINED), f"Missing or changed: {TRAINED}. The stage train", True, "damaged"),
    "model changed": (changed(TRAINED), f"Missing or changed: {TRAINED}. The stage train", True, "complete"),
    "model cut, record of an older tfopt": (
        both(without_digests, cut(TRAINED)),
        f"Missing or changed: {TRAINED}. The stage train",
        True,
        "complete",
    ),
    "labels missing": (missing("labels.txt"), "missing or changed are labels.txt", True, "damaged"),
    "labels empty": (emptied("labels.txt"), "missing or changed are labels.txt", True, "damaged"),
    "page missing": (missing("report.html"), "is complete", True, "complete"),
    "page empty": (emptied("report.html"), "is complete", True, "complete"),
    "lock missing": (missing(".lock"), "is complete", True, "complete"),
    "of another tfopt": (recorded(environment=OTHER), "is complete", True, "complete"),
    "left by a killed process": (
        lambda folder: (folder / ".unfinished-0000-model.keras").write_text("half"),
        "is complete",
        True,
        "complete",
    ),
    "killed in the last stage": (killed(2), "continues: 1 of 2 stages are complete", True, "interrupted"),
    "killed, with a damaged checkpoint": (
        both(killed(1), lambda folder: (folder / "stages/1-train/checkpoint-1.npz").write_bytes(b"PK")),
        "It is deleted, and this training begins at its first epoch",
        True,
        "interrupted",
    ),
    "record missing": (missing("run.json"), "begins", True, None),
    "record empty": (emptied("run.json"), "is damaged", False, None),
    "record cut": (cut("run.json"), "is damaged", False, None),
    "record without status": (recorded(status=None), "its status or its stages are missing", False, None),
    "record of a newer tfopt": (recorded(schema=2), "has schema 2, this tfopt reads 1", False, None),
    "record of an older tfopt": (recorded(schema=0), "has schema 0, this tfopt reads 1", False, None),
    "killed, of another tfopt": (
        both(killed(2), recorded(environment=OTHER)),
        "was not finished by tfopt 0.0.1",
        False,
        "interrupted",
    ),
    "a file in the place of the run": (
        both(shutil.rmtree, lambda folder: folder.write_text("")),
        "begins",
        False,
        None,
    ),
}


def is_whole(run):
    assert run.complete
    assert Run.load(run.path).complete
    assert len(run.tflite) == (run.path / EXPORTED).stat().st_size
    assert (run.path / "model.tflite").read_bytes() == (run.path / EXPORTED).read_bytes()
    assert zipfile.ZipFile(run.path / TRAINED).testzip() is None
    assert (run.path / MEASURED).stat().st_size == run.record["stages"][0]["bytes"]
    assert (run.path / "labels.txt").read_text() == "low\nhigh\n"
    assert "</html>" in (run.path / "report.html").read_text()
    assert run.model().count_params() == 10


QUICK = (
    "shipped file cut",
    "shipped file changed",
    "stage's file missing",
    "both files missing",
    "measured file missing",
    "model missing",
    "model cut, record of an older tfopt",
    "labels missing",
    "page missing",
)


@pytest.mark.parametrize("name", some(REPAIRED, QUICK))
def test_the_next_call_repairs(again, folder, name):
    damage, said, same_folder, found = REPAIRED[name]
    before = (folder / EXPORTED).read_bytes()
    damage(folder)
    if found is None:
        with pytest.raises(RunError):
            Run.load(folder)
    else:
        run = Run.load(folder)
        assert run.record["status"] == found
        assert run.complete == (found == "complete")
    run, told = again(folder.parent)
    assert said in told
    is_whole(run)
    after = (run.path / EXPORTED).read_bytes()
    assert after == before
    assert (run.path == folder) == same_folder
    assert "is complete" in again(folder.parent)[1]


# name: damage, the sentence, what the user does about it.
LED_ON = {
    "a file in the place of the stages": (
        a_file_in_the_place_of("stages"),
        "A file stands where a folder is needed: delete it",
        lambda folder: (folder / "stages").unlink(),
    ),
    "a record of other stages": (
        both(killed(2), lambda folder: recorded(stages=[{"name": "prune", "status": "pending"}])(folder)),
        "lists other stages than the run has: it was changed. Delete",
        shutil.rmtree,
    ),
}


@pytest.mark.parametrize("name", LED_ON)
def test_a_sentence_leads_on(again, folder, name):
    damage, said, follow = LED_ON[name]
    damage(folder)
    with pytest.raises(RunError) as raised:
        again(folder.parent)
    assert said in str(raised.value)
    follow(folder)
    is_whole(again(folder.parent)[0])


def test_a_run_that_another_process_writes(again, folder):
    killed(2)(folder)
    with run_folder.locked(folder):
        assert Run.load(folder).record["status"] == "running"
        with pytest.raises(RunError, match=r"Another process .* is writing the run .* Wait for it"):
            again(folder.parent)
    is_whole(again(folder.parent)[0])


def _refusing(number):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_folder_that_can_only_be_read(again, folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", _refusing(errno.EROFS))
        patch.setattr(file_lock, "open", _refusing(errno.EROFS), raising=False)
        run, told = again(folder.parent)
        assert run.complete
        assert "is complete" in told
        (folder / "report.html").unlink()
        assert "Cannot write" in again(folder.parent)[1]
        (folder / "model.tflite").unlink()
        with pytest.raises(
            RunError, match=r"Cannot write in .*: Read-only file system. Choose another folder"
        ):
            again(folder.parent)
    is_whole(again(folder.parent)[0])


@pytest.mark.parametrize("stage", [1, 2])
def test_a_full_disk(again, folder, monkeypatch, stage):
    killed(stage)(folder)
    full = _refusing(errno.ENOSPC)
    with monkeypatch.context() as patch:
        # The record is written, the first file of the stage is not.
        method = "export" if stage == 2 else "forget_checkpoints"
        if stage == 2:
            patch.setattr("tfopt.pipeline.stage_context.write_atomically", _through_replacing(full, patch))
        else:
            patch.setattr("tfopt.pipeline.training.checkpoint.replacing", _full_replacing(full, patch))
        assert hasattr(StageContext, method)
        with pytest.raises(RunError, match=r"No space left on device. Free some space or choose another"):
            again(folder.parent)
        assert Run.load(folder).record["status"] == "failed"
        assert "No space left" in " ".join(str(Run.load(folder).report).split())
    is_whole(again(folder.parent)[0])


def _through_replacing(full, patch):
    def write(path, content):
        with patch.context() as inner:
            inner.setattr(files.os, "replace", full)
            files.write_atomically(path, content)

    return write


def _full_replacing(full, patch):
    import contextlib

    @contextlib.contextmanager
    def replacing(path):
        with patch.context() as inner:
            inner.setattr(files.os, "replace", full)
            with files.replacing(path) as temporary:
                yield temporary

    return replacing


def test_figures_of_a_stage_that_failed_are_not_shown(again, folder, monkeypatch):
    killed(2)(folder)

    def fail(self, model, context):
        context.record["verification"] = {"top1_agreement": 0.1234}
        raise tfopt.errors.VerificationError("The file is wrong.")

    with monkeypatch.context() as patch:
        patch.setattr(tfopt.ExportTFLite, "apply", fail)
        with pytest.raises(tfopt.errors.VerificationError):
            again(folder.parent)
    report = Run.load(folder).report
    assert "Failed in the stage 'export_tflite': The file is wrong." in report
    assert "12.34" not in report
    is_whole(again(folder.parent)[0])
