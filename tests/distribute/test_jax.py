"""What of tfopt runs where Keras runs on JAX, and the way back: `on_jax.py` is the process that does."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

import tfopt
from tests.contracts.test_schedules import SCHEDULES
from tests.distribute import on_jax

SCRIPT = Path(__file__).with_name("on_jax.py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder in which a model was pruned here, and trained on JAX."""
    pytest.importorskip("jax")
    path = tmp_path_factory.mktemp("jax")
    tfopt.prune(on_jax.network(), 0.5).save(path / "pruned.keras")
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    environment["PYTHONPATH"] = os.pathsep.join([str(SCRIPT.parents[2]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, SCRIPT, path], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return path


@pytest.fixture(scope="module")
def said(folder):
    return json.loads((folder / "said.json").read_text())


@pytest.mark.slow
def test_schedules_have_the_same_rates(said):
    assert said["backend"] == "jax"
    for name, (kind, arguments) in SCHEDULES.items():
        expected = [float(kind(**arguments)(step)) for step in range(10)]
        np.testing.assert_allclose(said["rates"][name], expected, rtol=1e-5, atol=1e-8, err_msg=name)


@pytest.mark.slow
def test_a_pruned_model_trains_on_jax_as_here_and_comes_back(folder, said):
    model = keras.saving.load_model(folder / "pruned.keras")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    before = model.evaluate(on_jax.X, on_jax.Y, verbose=0)
    assert said["losses"][-1] < before
    trained = keras.saving.load_model(folder / "trained.keras")
    assert tfopt.measure.sparsity(trained) == pytest.approx(0.5, abs=0.02)
    np.testing.assert_allclose(trained.predict(on_jax.X, verbose=0), said["outputs"], rtol=1e-5, atol=1e-6)
    outputs = tfopt.to_tflite(trained, "float32").predict(on_jax.X)
    np.testing.assert_allclose(outputs, said["outputs"], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_what_needs_tensorflow_says_so(said):
    needed = ("prune", "cluster", "low_rank", "prune_channels", "quantize_aware", "to_tflite")
    assert {*said["refusals"]} == {"Adan", "Lookahead", *needed}
    for name in needed:
        assert f"{name} works on TensorFlow, and Keras runs on jax here: save" in said["refusals"][name]
    for name in ("Adan", "Lookahead"):
        assert f"{name} updates by TensorFlow, and Keras runs on jax here" in said["refusals"][name]
