"""`tfopt export`: a trained model becomes a verified file, and whatever cannot says what to do."""

import re

import keras
import numpy as np
import pytest

import tfopt
from tfopt.export.runtime import verify

CUSTOM = """
import keras

class Doubled(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


@pytest.fixture
def dense(tmp_path):
    """Make a small model of 4 numbers and save it; return its path, 200 samples and its outputs."""
    keras.utils.set_random_seed(0)  # initializers draw their seeds when layers are made

    def make(*layers, outputs=3, name="model.keras", activation="softmax"):
        head = keras.layers.Dense(outputs, activation=activation, name="head")
        model = keras.Sequential([keras.Input((4,), name="sensor"), *layers, head], name="dense")
        model.save(tmp_path / name)
        x = np.random.default_rng(0).normal(size=(200, 4)).astype(np.float32)
        return tmp_path / name, x, model.predict(x, verbose=0)

    return make


def test_a_folder_of_classes(tfopt_cli, stripes, tmp_path):
    code, said, errors = tfopt_cli(
        "export", stripes / "model.keras", "--data", stripes / "data", "--out", tmp_path / "small.tflite"
    )
    assert (code, errors) == (0, "")
    assert "small.tflite: int8, " in said
    assert "gzip" in said
    assert "on 24 samples: passed" in said
    assert "accuracy: model 100 %, file 100 % on 24 samples" in said
    assert "input image: int8, 1 x 12 x 12 x 3, real = " in said
    assert "inputs are: x / 255" in said
    assert "classes: 0 across, 1 along" in said
    file = tfopt.TFLiteModel(tmp_path / "small.tflite")
    x = tfopt.data.load(stripes / "data").x_test
    assert file.predict(np.repeat(x, 3, axis=-1)).shape == (24, 2)


def test_digits_keep_their_scale_and_findings_have_lines_of_their_own(tfopt_cli, tmp_path):
    keras.utils.set_random_seed(0)
    head = keras.layers.Dense(10, activation="softmax", kernel_initializer="zeros", name="head")
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten(), head])
    model.layers[-1].kernel.assign(np.random.default_rng(0).normal(size=(64, 10)) * 1e-4)
    model.save(tmp_path / "model.keras")
    code, said, _ = tfopt_cli("export", tmp_path / "model.keras", "--data", "digits")
    assert code in (0, 1)
    assert "inputs are: x / 16" in said
    assert any(line.startswith("finding: channels") for line in said.splitlines())
    assert "warning: The model as given is no better than a guess" in said


def test_a_folder_without_labels_and_a_scale(tfopt_cli, stripes, tmp_path):
    code, said, _ = tfopt_cli(
        *("export", stripes / "model.keras", "--data", stripes / "data" / "along", "--scale", "-1..1"),
        *("--out", tmp_path / "a.tflite", "--scheme", "int16x8"),
    )
    assert code == 0
    assert "accuracy: unknown, the data has no labels" in said
    assert "inputs are: x / 127.5 - 1" in said
    assert "input image: int16" in said


@pytest.mark.parametrize("names", [("x", "y"), ("x_train", "y_train"), ("sensor", "y")])
def test_arrays_with_labels(tfopt_cli, dense, tmp_path, names):
    path, x, y = dense(keras.layers.Dense(8, name="hidden"))
    np.savez(tmp_path / "data.npz", **dict(zip(names, (x, y.argmax(1)), strict=True)))
    code, said, _ = tfopt_cli("export", path, "--data", tmp_path / "data.npz", "--rules", "head=float")
    assert code == 0
    assert re.search(r"accuracy: model 100 %, file (100|9\d\.\d+) % on 40 samples", said)
    assert "in float: FULLY_CONNECTED of head" in said
    assert (tmp_path / "model.int8.tflite").exists()


def test_arrays_without_labels_and_with_numbers(tfopt_cli, dense, tmp_path):
    path, x, y = dense(outputs=1, activation=None)
    np.savez(tmp_path / "x.npz", anything=x)
    assert "accuracy: unknown" in tfopt_cli("export", path, "--data", tmp_path / "x.npz")[1]
    np.savez(tmp_path / "xy.npz", x=x, y=y)
    code, said, _ = tfopt_cli("export", path, "--data", tmp_path / "xy.npz")
    assert code == 0
    assert "mean absolute error: model 0, file 0.0" in said


def test_a_sparse_file_and_what_inspect_says_of_it(tfopt_cli, tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(96, name="hidden"), keras.layers.Dense(1, name="head")]
    model = tfopt.prune(keras.Sequential([keras.Input((32,)), *layers]), 0.8)
    model.save(tmp_path / "pruned.keras")
    np.savez(tmp_path / "x.npz", x=np.random.default_rng(0).normal(size=(120, 32)).astype(np.float32))
    options = ("--data", tmp_path / "x.npz", "--scheme", "float32", "--sparse")
    code, said, _ = tfopt_cli("export", tmp_path / "pruned.keras", *options)
    assert code == 0
    path = tmp_path / "pruned.float32.tflite"
    weight = next(each for each in tfopt.TFLiteModel(path).summary().weights if each.layer == "hidden")
    assert weight.sparse
    assert weight.zeros == np.count_nonzero(model.get_layer("hidden").kernel.numpy() == 0)
    _, said, _ = tfopt_cli("inspect", path)
    assert "with weights at their Shannon bound" in said
    row = next(line for line in said.splitlines() if line.startswith("hidden"))
    assert f"{weight.bytes} sparse" in row
    assert row.split()[-4:-2] == [str(weight.entropy_bytes), str(weight.clusters)]


def test_a_file_that_fails_is_kept_under_a_name_that_says_so(tfopt_cli, dense, tmp_path, monkeypatch):
    path, x, y = dense()
    np.savez(tmp_path / "data.npz", x=x, y=y.argmax(1))
    strict = verify.Tolerance(max_error=0.0)
    monkeypatch.setattr(verify, "TOLERANCES", dict.fromkeys(verify.TOLERANCES, strict))
    monkeypatch.setattr("tfopt.export.runtime.keras_outputs.TOLERANCES", verify.TOLERANCES, raising=False)
    code, said, errors = tfopt_cli("export", path, "--data", tmp_path / "data.npz")
    assert code == 1
    assert "failed: largest relative difference" in said
    assert "error: The file does not give the model's results" in errors
    assert "--rules LAYER=float" in errors
    assert (tmp_path / "model.int8.failed.tflite").exists()
    assert not (tmp_path / "model.int8.tflite").exists()


def test_a_layer_of_ones_own_leads_to_its_file(tfopt_cli, dense, tmp_path):
    (tmp_path / "own.py").write_text(CUSTOM)
    (tmp_path / "other.py").write_text("")
    scope = {}
    exec(CUSTOM, scope)
    path, x, y = dense(scope["Doubled"](name="twice"))
    np.savez(tmp_path / "data.npz", x=x, y=y.argmax(1))
    code, _, errors = tfopt_cli("export", path, "--data", tmp_path / "data.npz")
    assert code == 1
    assert "uses 'Doubled'" in errors
    assert "--custom FILE.py" in errors
    code, _, errors = tfopt_cli(
        "export", path, "--data", tmp_path / "data.npz", "--custom", tmp_path / "other.py"
    )
    assert "the file given with --custom lacks it" in errors
    code, said, _ = tfopt_cli(
        "export", path, "--data", tmp_path / "data.npz", "--custom", tmp_path / "own.py"
    )
    assert code == 0
    assert "accuracy: model 100 %" in said


def test_a_lambda_leads_to_trust(tfopt_cli, dense, tmp_path):
    path, x, y = dense(keras.layers.Lambda(lambda x: 2 * x))
    np.savez(tmp_path / "data.npz", x=x, y=y.argmax(1))
    code, _, errors = tfopt_cli("export", path, "--data", tmp_path / "data.npz")
    assert code == 1
    assert "add --trust" in errors
    assert tfopt_cli("export", path, "--data", tmp_path / "data.npz", "--trust")[0] == 0


@pytest.mark.parametrize("command", ["run", "search", "compare-engines"])
@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.tflite", "saved"])
def test_a_model_in_the_place_of_a_recipe(tfopt_cli, tmp_path, command, name):
    if name == "saved":
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_bytes(b"\x80")
    else:
        (tmp_path / name).write_bytes(b"\x80\xff")
    code, _, errors = tfopt_cli(command, tmp_path / name)
    assert code == 1
    assert errors.startswith(f"error: {tmp_path / name} is a ")
    wanted = "tfopt inspect" if name == "model.tflite" else f"tfopt export {tmp_path / name} --data FOLDER"
    assert wanted in errors
    assert errors.count("\n") == 1
