"""Wrong inputs at the command line: an exit code other than 0 and one sentence, never a traceback."""

import shutil
import textwrap

import keras
import numpy as np
import pytest

import tfopt
from tfopt.cli.main import main

RECIPE = textwrap.dedent(
    """
    import keras
    import tfopt

    def build(hp):
        return tfopt.Recipe(
            data=tfopt.data.load("digits"),
            model=lambda data: keras.Sequential(
                [
                    keras.Input(data.input_shape),
                    keras.layers.Flatten(),
                    keras.layers.Dense(hp.Int("width", 2, 8, default=4)),
                    keras.layers.Dense(data.num_classes),
                ]
            ),
            optimizer="sgd",
            stages=[STAGES],
        )
    """
)
CUSTOM = """
import keras
class Own(keras.layers.Layer):
    def call(self, x):
        return 2 * x
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Recipes, models, files and data, good and bad."""
    path = tmp_path_factory.mktemp("wrong")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 4)).astype(np.float32), np.arange(40) % 3
    recipes = {
        "good": "tfopt.Train(epochs=1)",
        "order": "tfopt.ExportTFLite(), tfopt.Train()",
        "sparsity": "tfopt.Prune(sparsity=1.0)",
        "empty": "",
        "stage": "1",
        "exit": "exit(3)",
    }
    for name, stages in recipes.items():
        (path / f"{name}.py").write_text(RECIPE.replace("STAGES", stages))
    (path / "syntax.py").write_text("def build(hp:\n")
    (path / "no_build.py").write_text("x = 1\n")
    (path / "none.py").write_text("def build(hp):\n    return None\n")
    (path / "fails.py").write_text("def build(hp):\n    return 1 / 0\n")
    (path / "custom_fails.py").write_text("1 / 0\n")
    (path / "custom_exits.py").write_text("raise SystemExit(0)\n")
    model = keras.Sequential([keras.Input((4,), name="in"), keras.layers.Dense(3, "softmax", name="head")])
    model.save(path / "model.keras")
    scope = {}
    exec(CUSTOM, scope)
    keras.Sequential([keras.Input((4,)), scope["Own"]()]).save(path / "own.keras")
    keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: 2 * x)]).save(path / "code.keras")
    (path / "cut.keras").write_bytes((path / "model.keras").read_bytes()[:900])
    (path / "empty.keras").write_bytes(b"")
    (path / "text.keras").write_text("no model")
    (path / "text.h5").write_text("no model")
    model.save_weights(path / "model.weights.h5")
    shutil.make_archive(str(path / "other"), "zip", path, "good.py")
    (path / "other.zip").rename(path / "other.keras")
    (path / "saved").mkdir()
    file = tfopt.to_tflite(model)
    file.save(path / "model.tflite")
    (path / "cut.tflite").write_bytes(bytes(file)[:300])
    (path / "empty.tflite").write_bytes(b"")
    (path / "text.tflite").write_text("no model")
    np.savez(path / "data.npz", x=x, y=y)
    np.savez(path / "wide.npz", x=np.tile(x, 2), y=y)
    np.savez(path / "nan.npz", x=np.where(x > 1, np.nan, x), y=y)
    np.savez(path / "negative.npz", x=x, y=y - 1)
    np.savez(path / "names.npz", images=x, labels=y)
    np.savez(path / "nothing.npz", x=x[:0], y=y[:0])
    (path / "text.npz").write_text("no archive")
    (path / "images" / "a").mkdir(parents=True)
    (path / "images" / "a" / "1.png").write_text("no image")
    (path / "empty").mkdir()
    (path / "run").mkdir()
    (path / "run" / "run.json").write_text("{")
    (path / "search").mkdir()
    (path / "search" / "search.json").write_text("[]")
    return path


@pytest.fixture
def call(folder, monkeypatch, capfd):
    """Call the command line in this process and in the folder; return exit code and standard error."""
    monkeypatch.chdir(folder)

    def run(line):
        with pytest.raises(SystemExit) as ended:
            main(line.split())
        return ended.value.code, capfd.readouterr().err

    return run


# what is typed -> what is said
WRONG = {
    "run no.py": "does not exist",
    "run model.keras": "tfopt export model.keras --data FOLDER",
    "run model.tflite": "tfopt inspect model.tflite",
    "run saved": "is a folder, not a recipe",
    "run data.npz": "is no text, so it is no recipe",
    "run syntax.py": "syntax.py, line 1",
    "run no_build.py": "has no build",
    "run none.py": "must return a tfopt.Recipe, got NoneType",
    "run fails.py": "fails.py, line 2: build(hp) raised ZeroDivisionError",
    "run exit.py": "ended the program with exit(3)",
    "run order.py": "Train (stage 2) cannot come after ExportTFLite (stage 1)",
    "run sparsity.py": "[0, 1)",
    "run empty.py": "needs at least one stage",
    "run stage.py": "Stage 1 must be a tfopt stage",
    "run good.py --set depth=3": "has no hyperparameter 'depth'; it has width",
    "run good.py --set width=many": "takes an integer from 2 to 8",
    "run good.py --set width=99": "takes an integer from 2 to 8",
    "run good.py --set width": "expected NAME=VALUE",
    "run good.py --seed -1": "not in the range",
    "run good.py --seed one": "not a valid integer",
    "run good.py --strategy gpu": "is not one of",
    "run good.py --strategy tpu=": "is not one of",
    "run good.py --worker 0": "--worker must be used with --strategy multi_worker",
    "run good.py --data imagenet": "Unknown dataset 'imagenet'",
    "run good.py --data text.npz": "it is not an intact .npz file",
    "run good.py --data names.npz": "must hold x_train, y_train",
    "run good.py --data nothing.npz": "is empty",
    "run good.py --data nan.npz": "NaN or infinity",
    "run good.py --data negative.npz": "labels count from 0",
    "run good.py --data images": "two or more folders of images",
    "run good.py --out data.npz": "data.npz",
    "run good.py --out data.npz/runs": "Cannot write",
    "search good.py --trials 0": "not in the range",
    "search good.py --minimize size": "no metric 'size'",
    "search good.py --minimize bytes --maximize bytes": "Cannot maximize 'bytes'",
    "search good.py --minimize loss --maximize loss": "Cannot maximize 'loss'",
    "search good.py --max byte=3": "Did you mean 'bytes'?",
    "search good.py --max bytes=much": "expected 0.5 (half of the original), 100_000",
    "search good.py --hours 0": "not in the range",
    "search good.py --epochs-total 0": "not in the range",
    "search good.py --keep accuracy": "expected NAME=VALUE",
    "search good.py --keep accuracy=high": "expected a number",
    "search good.py --keep accuracy=-3": "is outside [-1, 1]",
    "search good.py --keep size=1": "no metric 'size'",
    "search good.py --keep bytes=1": "Cannot keep 'bytes'",
    "search none.py --trials 1": "must return a tfopt.Recipe",
    "compare-engines good.py": "No stage of the recipe has an engine",
    "report no": "does not exist",
    "report empty": "There is no run in",
    "report run": "is damaged",
    "report search": "is not a search",
    "export no.keras --data data.npz": "does not exist",
    "export model.keras": "Missing option '--data'",
    "export model.tflite --data data.npz": "is a TFLite file already",
    "export good.py --data data.npz": "is no Keras model",
    "export cut.keras --data data.npz": "is no Keras model, or was cut off",
    "export empty.keras --data data.npz": "is no Keras model",
    "export text.keras --data data.npz": "is no Keras model",
    "export other.keras --data data.npz": "is no Keras model",
    "export text.h5 --data data.npz": "is no Keras model",
    "export model.weights.h5 --data data.npz": "weights",
    "export saved --data data.npz": "saved_model.pb",
    "export own.keras --data data.npz": "--custom FILE.py",
    "export own.keras --data data.npz --custom good.py": "lacks it",
    "export own.keras --data data.npz --custom custom_fails.py": "cannot be run: ZeroDivisionError",
    "export own.keras --data data.npz --custom custom_exits.py": "cannot be run: SystemExit",
    "export own.keras --data data.npz --custom no.py": "does not exist",
    "export code.keras --data data.npz": "--trust",
    "export model.keras --data imagenet": "Unknown dataset",
    "export model.keras --data no.npz": "No such file",
    "export model.keras --data text.npz": "Cannot read",
    "export model.keras --data names.npz": "must hold",
    "export model.keras --data nan.npz": "NaN",
    "export model.keras --data nothing.npz": "is empty",
    "export model.keras --data wide.npz": "has samples of shape (8,)",
    "export model.keras --data empty": "two or more folders of images",
    "export model.keras --data images": "two or more folders of images",
    "export model.keras --data images/a": "Cannot read the image",
    "export model.keras --data data.npz --scheme int7": "is not one of",
    "export model.keras --data data.npz --scale 1/0": "scale must be",
    "export model.keras --data data.npz --image-size big": "such as 96x96",
    "export model.keras --data data.npz --rules haed=float": "head",
    "export model.keras --data data.npz --rules head": "expected NAME=VALUE",
    "export model.keras --data data.npz --rules head=int7": "with one of",
    "export model.keras --data data.npz --out small.bin": "ends in .tflite",
    "export model.keras --data data.npz --out text.npz/a.tflite": "Cannot write",
    "convert model.keras new.keras": "keras.models.load_model",
    "convert text.h5 new.keras": "is no Keras 2 model",
    "convert no.h5 new.keras": "does not exist",
    "convert text.h5 new.h5": "ends in .keras",
    "inspect text.tflite": "text.tflite",
    "inspect empty.tflite": "empty.tflite",
    "inspect cut.tflite": "cut.tflite",
    "inspect model.keras": "model.keras",
    "inspect saved": "is a directory",
    "compare model.tflite cut.tflite": "cut.tflite",
    "bench cut.tflite": "cut.tflite",
    "bench": "Missing argument",
    "debug model.keras cut.tflite data.npz": "cut.tflite",
    "debug cut.keras model.tflite data.npz": "is no Keras model, or was cut off",
    "debug own.keras model.tflite data.npz": "--custom FILE.py",
    "debug model.keras model.tflite text.npz": "text.npz",
    "debug model.keras model.tflite wide.npz": "must have the shape (samples, 4)",
    "debug model.keras model.tflite data.npz --samples 0": "not in the range",
}


@pytest.mark.parametrize("line", WRONG)
@pytest.mark.filterwarnings("ignore")
def test_a_wrong_input_is_one_sentence(folder, call, line):
    before = set(folder.rglob("*.tflite"))
    code, errors = call(line)
    assert code in (1, 2), errors
    assert "Traceback" not in errors
    said = [each for each in errors.splitlines() if each.lower().startswith("error: ")]
    assert len(said) == 1, errors
    assert WRONG[line] in said[0]
    assert len(said[0]) < 700
    assert set(folder.rglob("*.tflite")) == before
