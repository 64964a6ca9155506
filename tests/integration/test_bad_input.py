"""Bad input at the command line: one line, an exit code, and nothing half-written under a final name."""

import os
import resource
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from tests.at_length import some

RECIPE = textwrap.dedent(
    """
    import keras
    import tfopt

    def build(hp):
        return tfopt.Recipe(
            data=tfopt.data.load("digits"),
            model=lambda data: keras.Sequential(
                [keras.Input(data.input_shape), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
            ),
            optimizer=lambda steps: keras.optimizers.Adam(0.01),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            stages=[STAGES],
        )
    """
)
STAGES = "tfopt.Train(epochs=1), tfopt.ExportTFLite('float32')"


def _recipe(folder, stages=STAGES, classes="data.num_classes"):
    path = folder / "recipe.py"
    path.write_text(RECIPE.replace("STAGES", stages).replace("CLASSES", classes))
    return path


def _run(recipe, *arguments, **options):
    command = [sys.executable, "-m", "tfopt", "run", str(recipe), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=recipe.parent, **options)


def _arrays(**changes):
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(60, 4, 4, 1)).astype("float32"), "y": np.arange(60) % 10}
    return arrays | changes


def _with_nan():
    x = _arrays()["x"]
    x[7, 1, 1] = np.nan
    return x


DATA = {
    "wrong keys": ({"images": np.zeros(3)}, "found images"),
    "NaN": (_arrays(x=_with_nan()), "NaN or infinity in 1 of 60 samples, the first at index 7"),
    "negative label": (_arrays(y=np.arange(60) % 10 - 1), "holds the label -1; labels count from 0"),
    "label out of range": (
        {
            **{f"{k}_train": v for k, v in _arrays().items()},
            "x_test": _arrays()["x"],
            "y_test": np.full(60, 10),
        },
        "holds the label 10, but there are 10 classes",
    ),
    "empty split": (
        {
            **{f"{k}_train": v for k, v in _arrays().items()},
            "x_test": np.zeros((0, 4, 4, 1)),
            "y_test": np.zeros(0, int),
        },
        "The test split is empty",
    ),
}
RECIPES = {
    "classes": ({"classes": "7"}, "7"),
    "sparsity": ({"stages": "tfopt.Prune(sparsity=1.0)"}, "[0, 1)"),
    "order": ({"stages": "tfopt.ExportTFLite(), tfopt.Train()"}, "ExportTFLite"),
}


def _is_one_line(process, said):
    assert process.returncode == 1, process.stderr
    (line,) = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert said in line
    assert "Traceback" not in process.stderr


# Each in a process of its own; tests/contracts/test_wrong_inputs_cli.py has many more in one.
@pytest.mark.parametrize("name", some(DATA, [next(iter(DATA))]))
def test_bad_data(tmp_path, name):
    arrays, said = DATA[name]
    np.savez(tmp_path / "data.npz", **arrays)
    _is_one_line(_run(_recipe(tmp_path), "--data", tmp_path / "data.npz"), said)
    assert not (tmp_path / "saved_models").exists()


@pytest.mark.parametrize("name", some(RECIPES, ["order"]))
def test_bad_recipe(tmp_path, name):
    changes, said = RECIPES[name]
    _is_one_line(_run(_recipe(tmp_path, **changes)), said)
    assert not list(tmp_path.glob("saved_models/**/*.tflite"))


@pytest.mark.slow
def test_a_disk_that_fills_up(tmp_path):
    def limit():
        # A file that grows beyond this fails as on a full disk; TensorFlow's import writes none.
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, 8000))

    process = _run(_recipe(tmp_path), preexec_fn=limit, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    _is_one_line(process, "Cannot write")
    final = [path.name for path in tmp_path.rglob("*") if path.suffix in (".keras", ".tflite", ".html")]
    assert not [name for name in final if not name.startswith(".")]
    again = _run(_recipe(tmp_path))
    assert again.returncode == 0, again.stderr
