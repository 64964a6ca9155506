"""Every recipe reads its data, is planned, and runs in short form; data of another kind is one sentence."""

import dataclasses

import numpy as np
import pytest

import tfopt
from tests.integration.recipes import small_data
from tests.integration.recipes.small_data import RECIPES
from tfopt import distribute
from tfopt.errors import DataError
from tfopt.pipeline.preflight import check_stages, planned
from tfopt.report.table import main_metric

NO_WEIGHTS = {"backbone": "MobileNet", "weights": "none", "size": "32", "macs": "0.8"}

TABLE = {
    # recipe: (data, values, metric that the report leads with)
    "autoencoder_anomaly": (small_data.machine, {"width": "32"}, "auc"),
    "detection_head": (small_data.boxes, {"width": "4"}, "label_accuracy"),
    "digits": (None, {"width": "8"}, "accuracy"),
    "dscnn_keyword_spotting": (small_data.words, {"filters": "16"}, "accuracy"),
    "fashion_mnist": (small_data.mnist, {"width": "8"}, "accuracy"),
    "finetune": (small_data.people, NO_WEIGHTS, "accuracy"),
    "mnist": (small_data.mnist, {"width": "8"}, "accuracy"),
    "mobilenet_v1_visual_wake_words": (small_data.people, {"filters": "4"}, "accuracy"),
    "resnet8_cifar10": (small_data.cifar, {"width": "8"}, "accuracy"),
    "segmentation_unet": (small_data.masks, {"width": "4"}, "mean_iou"),
    "sensor_lstm": (small_data.windows, {"units": "8"}, "accuracy"),
    "structure_digits": (None, {"width": "8", "depth": "1"}, "accuracy"),
    "tabular_mlp": (None, {"width": "8"}, "mean_absolute_error"),
    "text_transformer": (
        small_data.reviews,
        {"width": "16", "blocks": "2", "shared_blocks": "true"},
        "accuracy",
    ),
}


IN_FLOAT = {"text_transformer": ("norm",)}
"""Recipe -> what may compute in float: LiteRT has no int8 kernel for LayerNormalization."""


def test_the_table_has_every_recipe():
    files = {path.stem for path in RECIPES.glob("*.py") if "def build(" in path.read_text()}
    assert set(TABLE) == files


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """Returns the recipe of a name, with its small data."""

    def read(name):
        make, values, _ = TABLE[name]
        data = None if make is None else make(tmp_path_factory.mktemp(name))
        return tfopt.Recipe.from_file(RECIPES / f"{name}.py", values=values, data=data)

    return read


@pytest.mark.parametrize("name", TABLE)
def test_it_declares_its_hyperparameters_and_passes_the_preflight(read, name):
    recipe = read(name)
    space = {parameter.name for parameter in recipe.declare().space}
    assert set(TABLE[name][1]) <= space
    model = recipe.new_model()
    plan = planned(recipe._config(model, 0, distribute.choose("one_device"), None), model)
    check_stages(plan)
    assert len(plan.stages) >= len(recipe.stages)


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLE)
def test_it_runs_in_short_form(read, name, tmp_path):
    recipe = read(name)
    run = dataclasses.replace(recipe, stages=[short(stage) for stage in recipe.stages]).run(
        tmp_path, quiet=True
    )
    assert run.complete
    assert main_metric(run.typed) == TABLE[name][2]
    *_, trained, file = run.typed.measured
    assert run.tflite.summary().integer
    floats = {each.layer for each in run.tflite.summary().float_operators}
    assert all(any(part in layer for part in IN_FLOAT.get(name, ())) for layer in floats), floats
    for metric, value in trained.metrics.items():
        assert file.metrics[metric] == pytest.approx(value, rel=0.05, abs=0.05), metric


def short(stage):
    """Return a stage that takes one epoch, or two; an export that may lose accuracy."""
    if hasattr(stage, "epochs"):
        return dataclasses.replace(stage, epochs=min(stage.epochs, 2))
    return dataclasses.replace(stage, max_drop=None)


def images(folder, *, shape=(12, 12, 3), y=None):
    x = np.random.default_rng(0).integers(0, 256, (40, *shape), dtype=np.uint8)
    np.savez(folder / "images.npz", x=x, y=np.arange(40) % 2 if y is None else y)
    return folder / "images.npz"


def no_sounds(folder):
    for word in ("yes", "no"):
        (folder / "speech" / word).mkdir(parents=True)
        (folder / "speech" / word / "notes.txt").write_text("no sound")
    return folder / "speech"


def three_classes(folder):
    return images(folder, shape=(96, 96, 3), y=np.arange(40) % 3)


def flat_table(folder):
    np.savez(folder / "table.npz", x=np.zeros((40, 5)), y=np.arange(40) % 2)
    return folder / "table.npz"


def pixel_boxes(folder):
    x, y = small_data.recipe_module("detection_head").made(count=40)
    np.savez(folder / "b.npz", **{"x": x, "y/label": y["label"], "y/box": 48 * y["box"]})
    return folder / "b.npz"


WRONG = {
    # recipe, what is wrong: (data, what is said)
    ("resnet8_cifar10", "gray images"): (
        lambda f: images(f, shape=(12, 12)),
        r"inputs are of shape \(12, 12, 1\) a sample, and expected is \(any, any, 3\)",
    ),
    ("resnet8_cifar10", "targets that are no classes"): (
        lambda f: images(f, y=np.linspace(0, 1, 40)),
        "must hold integer labels",
    ),
    ("mnist", "a table"): (flat_table, r"inputs are of shape \(5,\) a sample, and expected"),
    ("tabular_mlp", "images"): (images, r"expected is \(any,\).*A table has one row"),
    ("tabular_mlp", "text"): (
        lambda f: images(f, shape=(3,), y=np.array(["a", "b"] * 20)),
        "y_train is text, which names classes",
    ),
    ("sensor_lstm", "a table"): (flat_table, r"expected is \(any, any\).*window of a time series"),
    ("dscnn_keyword_spotting", "nothing"): (lambda f: None, "no data of its own: give a folder.*--data"),
    ("dscnn_keyword_spotting", "a file"): (images, "must be a folder with one folder of WAV files a class"),
    ("dscnn_keyword_spotting", "no WAV files"): (no_sounds, r"holds no WAV files \(.wav\) in its folders"),
    ("mobilenet_v1_visual_wake_words", "three classes"): (
        three_classes,
        "it has 3 classes, and expected is 2",
    ),
    ("autoencoder_anomaly", "no clips"): (no_sounds, "expected are WAV files.*found are 0, 0 and 0"),
    ("finetune", "nothing"): (lambda f: None, "no data of its own"),
    ("text_transformer", "a file"): (images, "reads a folder with one folder of .txt files"),
    ("text_transformer", "no texts"): (small_data.people, "holds no text files"),
    ("segmentation_unet", "classes of images"): (
        lambda f: images(f, shape=(16, 16, 3)),
        r"targets are of shape \(\) a sample, and expected is \(16, 16\)",
    ),
    ("segmentation_unet", "an odd size"): (images, "The images are 12x12, which does not fit"),
    ("segmentation_unet", "shares"): (
        lambda f: images(f, shape=(16, 16, 3), y=np.full((40, 16, 16), 0.5)),
        "targets hold 0.5, which is no class, and expected is whole numbers from 0",
    ),
    ("detection_head", "labels alone"): (images, "targets are one array, and expected is box, label"),
    ("detection_head", "boxes in pixels"): (pixel_boxes, "expected are shares of the image"),
}


@pytest.mark.parametrize(("name", "what"), WRONG)
def test_data_of_another_kind_is_one_sentence(name, what, tmp_path):
    make, message = WRONG[name, what]
    with pytest.raises(DataError, match=message) as caught:
        tfopt.Recipe.from_file(RECIPES / f"{name}.py", data=make(tmp_path))
    assert "\n" not in str(caught.value)
