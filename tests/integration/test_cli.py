"""The command line on a real, small recipe."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

RECIPE = textwrap.dedent(
    """
    import keras
    import tfopt

    def model(data, width):
        return keras.Sequential(
            [
                keras.Input(data.input_shape),
                keras.layers.Conv2D(width, 3, strides=2, activation="relu", name="conv"),
                keras.layers.Flatten(name="flatten"),
                keras.layers.Dense(data.num_classes, activation="softmax", name="head"),
            ],
            name="tiny",
        )

    def build(hp):
        return tfopt.Recipe(
            data=tfopt.data.load("digits"),
            model=lambda data: model(data, hp.Int("width", 2, 8, default=4)),
            optimizer=lambda steps: keras.optimizers.Adam(hp.Float("lr", 1e-3, 1e-1, default=1e-2)),
            stages=[
                tfopt.Train(epochs=EPOCHS),
                tfopt.Prune(sparsity=0.5, epochs=1),
                tfopt.QuantizeAware("int8", epochs=1),
                tfopt.ExportTFLite(),
            ],
        )
    """
)
TITLES = ("trained", "pruned", "quantization-aware", "int8 TFLite")


def tfopt(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "tfopt", *map(str, arguments)], capture_output=True, text=True, **options
    )


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    path = tmp_path_factory.mktemp("recipes") / "tiny.py"
    path.write_text(RECIPE.replace("EPOCHS", "3"))
    return path


@pytest.fixture(scope="module")
def done(recipe, tmp_path_factory):
    """One run from the command line: the process, the arguments and the run's folder."""
    folder = tmp_path_factory.mktemp("work")
    arguments = ("run", recipe, "--set", "width=6", "--out", folder / "runs")
    process = tfopt(*arguments, cwd=folder)
    assert process.returncode == 0, process.stderr
    (run,) = (folder / "runs").iterdir()
    return process, arguments, run


def test_run_ends_with_the_table_and_the_paths(done):
    process, _, run = done
    lines = process.stdout.splitlines()
    for title in TITLES:
        assert any(line.startswith(title) for line in lines)
    assert lines[-2:] == [str(run / "model.tflite"), str(run / "report.html")]
    assert "Traceback" not in process.stderr


def test_run_records_what_it_was_told(done):
    _, _, run = done
    record = json.loads((run / "run.json").read_text())
    assert record["status"] == "complete"
    assert record["recipe"]["values"]["width"] == 6
    assert record["command"].startswith("tfopt run ")
    assert record["stages"][-1]["verification"]["passed"]
    assert "<svg" in (run / "report.html").read_text()


def test_the_same_command_shows_the_run_and_trains_nothing(done):
    first, arguments, run = done
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*.keras")}
    again = tfopt(*arguments)
    assert again.returncode == 0
    assert "is complete" in again.stderr
    assert again.stdout == first.stdout
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*.keras")} == before


def test_report_shows_the_same_table(done):
    first, _, run = done
    shown = tfopt("report", run.parent)
    assert shown.returncode == 0
    assert shown.stdout == first.stdout


@pytest.mark.parametrize("command", ["inspect", "compare", "bench"])
def test_files_are_read_without_tensorflow(done, command):
    _, _, run = done
    files = [str(run / "model.tflite"), str(run / "stages" / "1-train" / "model.tflite")]
    code = (
        "import sys; from tfopt.cli import main\n"
        "try: main()\n"
        "finally: print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    arguments = [command, *files[: 1 if command == "inspect" else 2]]
    process = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    *lines, imported = process.stdout.splitlines()
    assert imported == "[]"
    said = {"inspect": "FULLY_CONNECTED", "compare": "FULLY_CONNECTED", "bench": "1.00x"}
    assert any(said[command] in line for line in lines)


@pytest.mark.parametrize("command", ["inspect", "compare", "bench"])
def test_what_is_no_tflite_file_is_one_line(command):
    process = tfopt(command, *[__file__] * (2 if command == "compare" else 1))
    assert process.returncode == 1
    (line,) = [line for line in process.stderr.splitlines() if not line.startswith("INFO")]
    assert line.startswith("error: ")
    assert "is not a TFLite file" in line


ONE_EPOCH = RECIPE.replace("EPOCHS", "1")


@pytest.mark.parametrize(
    ("source", "arguments", "said"),
    [
        ("x = 1", (), "def build(hp)"),
        pytest.param(
            "def build(hp): return 3", (), "must return a tfopt.Recipe, got int", marks=pytest.mark.slow
        ),
        ("def build(hp):\n    1 / 0", (), "line 2"),
        pytest.param(
            ONE_EPOCH,
            ("--set", "depth=3"),
            "no hyperparameter 'depth'; it has",
            marks=pytest.mark.slow,
        ),
        pytest.param(ONE_EPOCH, ("--data", "no_such.npz"), "no_such.npz", marks=pytest.mark.slow),
        (RECIPE.replace("sparsity=0.5", "sparsity=1.5").replace("EPOCHS", "1"), (), "sparsity"),
    ],
)
def test_what_is_wrong_with_a_recipe_is_one_line(tmp_path, source, arguments, said):
    recipe = tmp_path / "recipe.py"
    recipe.write_text(source)
    process = tfopt("run", recipe, *arguments, cwd=tmp_path)
    assert process.returncode == 1
    errors = [line for line in process.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.glob("saved_models/**/*.tflite"))


def test_an_interrupted_run_goes_on_with_the_same_command(tmp_path):
    recipe = tmp_path / "long.py"
    recipe.write_text(RECIPE.replace("EPOCHS", "40"))
    arguments = [sys.executable, "-m", "tfopt", "run", str(recipe)]
    process = subprocess.Popen(
        arguments,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background has its children ignore SIGINT.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while process.poll() is None and not list(tmp_path.glob("saved_models/*/*/stages/*/checkpoint*.npz")):
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode == 130
    assert "Run the same command again to resume." in errors
    assert "Traceback" not in errors
    (record,) = tmp_path.glob("saved_models/long/*/run.json")
    assert json.loads(record.read_text())["status"] != "complete"
    again = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, env={**os.environ})
    assert again.returncode == 0, again.stderr
    assert "continues" in again.stderr
    assert json.loads(record.read_text())["status"] == "complete"
