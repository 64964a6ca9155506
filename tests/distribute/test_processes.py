"""Runs in several processes on this machine, against the same run in one."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import tfopt
from tests.distribute.test_process_group import free_hosts

HEAD = '''
import time
import keras, numpy as np, tfopt

def data():
    """Of 157 samples 113 are for training: the last batch of 16 has one, and other processes none."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(157, 6)).astype("float32")
    return tfopt.data.from_arrays(x, (x.sum(axis=1) > 0).astype("int32"), name="blobs", scale="none")

def net():
    return keras.Sequential([
        keras.Input((6,)), keras.layers.Dense(16, "tanh"), keras.layers.Dense(2, "softmax")
    ], name="net")

class Pause(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        time.sleep(PAUSE)

def build(hp):
    return tfopt.Recipe(
        data=data(), model=net, batch_size=16, seed=hp.Int("seed", 0, 9, default=0),
        optimizer=lambda steps: tfopt.optimizers.Adan(
            tfopt.schedules.WarmupCosine(3e-2, warmup_steps=2, total_steps=steps)),
        callbacks=lambda: [tfopt.callbacks.GradientClipping("norm", 1.0), Pause()],
        stages=[STAGES],
    )
'''
SHORT = "tfopt.Train(epochs=1)"
LONG = (
    "tfopt.Train(epochs=2), tfopt.PruneChannels(0.3, round_to=1, epochs=1), tfopt.Prune(0.5, epochs=2), "
    "tfopt.Cluster(8, epochs=1, teacher='float'), tfopt.QuantizeAware('int8', epochs=2), "
    "tfopt.ExportTFLite()"
)


def recipe(folder, stages, pause=0.0):
    path = folder / "recipe.py"
    path.write_text(textwrap.dedent(HEAD).replace("STAGES", stages).replace("PAUSE", str(pause)))
    return path


def start(path, out, *arguments):
    """Start `tfopt run` in a process of its own."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["PYTHONPATH"] = str(Path(tfopt.__file__).parents[1])
    environment.pop("TF_CONFIG", None)
    return subprocess.Popen(
        [sys.executable, "-m", "tfopt", "run", str(path), "--out", str(out), *arguments],
        env=environment,
        cwd=path.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def workers(path, out, count):
    """Start the processes of a multi-worker run."""
    hosts = free_hosts(count)
    return [
        start(path, out, "--strategy", "multi_worker", "--hosts", ",".join(hosts), "--worker", str(i))
        for i in range(count)
    ]


def ended(processes):
    """Wait for processes; return their exit codes and what they printed."""
    printed = [process.communicate()[0] for process in processes]
    return [process.returncode for process in processes], printed


def completed(processes, out):
    codes, printed = ended(processes)
    assert codes == [0] * len(codes), "\n\n".join(printed)
    return tfopt.pipeline.Run.load(out)


def assert_same(one, other):
    """Compare loss curves, metrics and weights of two runs."""
    for a, b in zip(one.typed.stages, other.typed.stages, strict=True):
        assert {*(a.history or {})} == {*(b.history or {})}
        for name, values in (a.history or {}).items():
            np.testing.assert_allclose(b.history[name], values, rtol=1e-5, err_msg=f"{a.name} {name}")
        for name, value in (a.metrics or {}).items():
            np.testing.assert_allclose(b.metrics[name], value, rtol=1e-5, err_msg=f"{a.name} {name}")
        if a.model:
            for x, y in zip(
                one.model(a.number).get_weights(), other.model(b.number).get_weights(), strict=True
            ):
                np.testing.assert_allclose(y, x, rtol=1e-5, atol=1e-6, err_msg=a.name)


def test_two_processes_train_as_one(tmp_path):
    path = recipe(tmp_path, SHORT)
    processes = workers(path, tmp_path / "two", 2)
    two = completed(processes, tmp_path / "two")
    one = tfopt.Recipe.from_file(path).run(tmp_path / "one", strategy="one_device", quiet=True)
    assert two.record["strategy"] == {"name": "multi_worker", "replicas": 2}
    assert_same(one, two)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
def test_every_stage_in_several_processes_is_as_in_one(tmp_path, count):
    path = recipe(tmp_path, LONG)
    path.write_text(path.read_text().replace("batch_size=16", "batch_size=18"))
    several = completed(workers(path, tmp_path / "several", count), tmp_path / "several")
    one = completed([start(path, tmp_path / "one", "--strategy", "one_device")], tmp_path / "one")
    assert several.passed
    assert_same(one, several)


def trained_an_epoch_of(out, stage):
    """Wait until a stage has written a checkpoint."""
    while not list(out.glob(f"*/stages/*-{stage}/checkpoint-*.npz")):
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_is_killed_stops_all_and_the_run_goes_on(tmp_path, victim):
    stages = "tfopt.Train(epochs=4), tfopt.Prune(0.5, epochs=6), tfopt.ExportTFLite()"
    path = recipe(tmp_path, stages, pause=0.5)
    out = tmp_path / "killed"
    processes = workers(path, out, 2)
    trained_an_epoch_of(out, "prune")
    processes[victim].kill()
    began = time.monotonic()
    codes, printed = ended(processes)
    assert time.monotonic() - began < 60
    survivor = 1 - victim
    assert codes[victim] == -9
    assert codes[survivor] == 1, printed[survivor]
    sentence = [line for line in printed[survivor].splitlines() if line.startswith("error: ")]
    assert len(sentence) == 1, printed[survivor]
    assert f"Worker {victim} (" in sentence[0]
    assert "is gone: its process was killed" in sentence[0]
    assert "the run continues from its last saved state" in sentence[0]
    assert "Traceback" not in printed[survivor]

    again = workers(path, out, 2)
    resumed = completed(again, out)
    whole = completed(workers(path, tmp_path / "whole", 2), tmp_path / "whole")
    assert resumed.path.name == whole.path.name
    assert [stage.status for stage in resumed.typed.stages] == ["complete"] * 3
    assert resumed.metrics == whole.metrics
    for a, b in zip(resumed.model().get_weights(), whole.model().get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_workers_with_other_values_or_errors_are_told(tmp_path):
    path = recipe(tmp_path, SHORT)
    hosts = ",".join(free_hosts(2))
    common = ("--strategy", "multi_worker", "--hosts", hosts)
    codes, printed = ended(
        [
            start(path, tmp_path / "a", *common, "--worker", "0"),
            start(path, tmp_path / "a", *common, "--worker", "1", "--set", "seed=3"),
        ]
    )
    assert codes == [1, 1]
    for text in printed:
        assert "Worker 1 has another weights, seed of the run than the chief" in text, text
    assert not list((tmp_path / "a").glob("*/run.json"))


@pytest.mark.slow
def test_hosts_that_do_not_answer_are_an_error_after_the_time_limit(tmp_path):
    path = recipe(tmp_path, SHORT)
    hosts = free_hosts(2)
    common = ("--strategy", "multi_worker", "--hosts", ",".join(hosts), "--timeout", "1")
    codes, printed = ended(
        [start(path, tmp_path, *common, "--worker", "0"), start(path, tmp_path, "--strategy", "multi_worker")]
    )
    assert codes == [1, 1]
    assert f"error: No answer from {hosts[1]} within 1 s" in printed[0]
    assert "needs to know the workers" in printed[1]


@pytest.mark.slow
def test_a_second_strategy_and_a_late_start_are_refused():
    (host,) = free_hosts(1)
    code = f"""
    import json, tensorflow as tf, tfopt
    from tfopt import distribute
    said = []
    def attempt(call):
        try:
            call()
            said.append("")
        except tfopt.errors.TfoptError as error:
            said.append(str(error))
    strategy = distribute.multi_worker("{host}", 0)
    attempt(lambda: distribute.resolve("mirrored"))
    attempt(lambda: distribute.resolve(tf.distribute.OneDeviceStrategy("CPU:0")))
    attempt(lambda: distribute.multi_worker("{host}", 0))
    attempt(lambda: distribute.multi_worker("other:2222", 0))
    distribute.workers._STARTED.clear()
    attempt(lambda: distribute.multi_worker("{host}", 0))
    print(json.dumps(said))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    mirrored, other, same, cluster, late = json.loads(done.stdout.splitlines()[-1])
    assert "strategy 'mirrored' would be a second one" in mirrored
    assert "strategy 'OneDeviceStrategy' would be a second one" in other
    assert same == ""
    assert "already: start another process for another cluster" in cluster
    assert "TensorFlow has run something in this process already" in late
