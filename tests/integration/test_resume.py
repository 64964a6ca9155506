"""A run that is killed with SIGKILL, five times at five moments, ends like one that was left in peace."""

import json
import signal
import subprocess
import sys

import pytest

PROGRAM = """
import os, signal, sys
import keras
import tfopt
from tfopt.pipeline import stage_context
from tfopt.pipeline.progress import Display

OUT, MOMENT = sys.argv[1:]


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


class Bystander(keras.callbacks.Callback):
    # Kills in the middle of the second epoch of a stage.
    stage = None

    def on_epoch_begin(self, epoch, logs=None):
        self.now = epoch

    def on_train_batch_end(self, batch, logs=None):
        if Bystander.stage == MOMENT and self.now == 1 and batch == 1:
            kill()


def begin(self, number, name):
    Bystander.stage = name
    if MOMENT == "between stages" and name == "prune":
        kill()


def write_half(path, content):
    if MOMENT == "export":
        path.with_name(".unfinished-1234-" + path.name).write_bytes(content[:100])
        kill()
    write(path, content)


Display.begin = begin
write = stage_context.write_atomically
stage_context.write_atomically = write_half


def model():
    inputs = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False, name="conv")(inputs)
    x = keras.layers.BatchNormalization(name="bn")(x)
    x = keras.layers.ReLU(name="relu")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dropout(0.2, name="dropout")(x)
    return keras.Model(inputs, keras.layers.Dense(10, activation="softmax", name="head")(x), name="tiny")


tfopt.Recipe(
    data=tfopt.data.load("digits"),
    model=model,
    optimizer=lambda steps: tfopt.optimizers.Adan(
        tfopt.schedules.WarmupCosine(1e-2, warmup_steps=steps // 10, total_steps=steps)
    ),
    callbacks=[Bystander(), tfopt.callbacks.GradientClipping("adaptive", 0.1)],
    stages=[
        tfopt.Train(epochs=3),
        tfopt.Prune(0.5, epochs=3),
        tfopt.QuantizeAware(epochs=2),
        tfopt.ExportTFLite(min_agreement=0.5),
    ],
).run(out=OUT, quiet=True)
"""

MOMENTS = ["train", "between stages", "prune", "quantize_aware", "export"]


@pytest.fixture
def run(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    def run(out, moment):
        command = [sys.executable, str(program), str(tmp_path / out), moment]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == (-signal.SIGKILL if moment in MOMENTS else 0), done.stderr
        (folder,) = (tmp_path / out).iterdir()
        return folder, json.loads((folder / "run.json").read_text())

    return run


@pytest.mark.slow
def test_killed_five_times(run):
    for done, moment in zip([0, 1, 1, 2, 3], MOMENTS, strict=True):
        folder, record = run("killed", moment)
        assert record["status"] == "running"
        assert sum(stage["status"] == "complete" for stage in record["stages"]) == done, moment
        assert not (folder / "model.tflite").exists()
    killed, record = run("killed", "never")
    whole, expected = run("whole", "never")

    assert record["status"] == "complete"
    assert record["fingerprint"] == expected["fingerprint"]
    for ours, theirs in zip(record["stages"], expected["stages"], strict=True):
        for key in (
            "metrics",
            "validation",
            "history",
            "verification",
            "bytes",
            "compressed_bytes",
            "sparsity",
        ):
            assert ours[key] == theirs[key], (ours["name"], key)
    assert (killed / "model.tflite").read_bytes() == (whole / "model.tflite").read_bytes()

    def files(folder):
        return sorted(
            str(path.relative_to(folder)) for path in folder.rglob("*") if "events" not in path.name
        )

    assert files(killed) == files(whole)
