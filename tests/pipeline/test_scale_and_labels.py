"""Runs on data in the forms in which people have it: bytes or scaled images, labels as text or rows."""

import itertools
import json
import warnings

import keras
import numpy as np
import pytest
from PIL import Image

import tfopt
from tfopt import graph
from tfopt.data import from_arrays

L = keras.layers
rng = np.random.default_rng(0)
LABELS = np.arange(150) % 3
BYTES = np.clip(rng.normal(60, 25, (150, 8, 8, 3)), 0, 255)
BYTES[np.arange(150), :, :, LABELS] += 70
BYTES = np.clip(BYTES, 0, 255).astype(np.uint8)
STAGES = [tfopt.QuantizeAware(epochs=0), tfopt.ExportTFLite()]


class DividesByItself(keras.Layer):
    def call(self, x):
        return x / 255.0


def normalization(values):
    layer = L.Normalization()
    layer.adapt(np.asarray(values, np.float32))
    return layer


def preprocessing(name):
    return lambda x: getattr(keras.applications, name).preprocess_input(x)


def model(*first, dtype="float32"):
    keras.utils.set_random_seed(0)
    inputs = x = keras.Input((8, 8, 3), dtype=dtype, name="image")
    for layer in first:
        x = layer(x)
    x = L.Conv2D(8, 3, activation="relu")(x)
    return keras.Model(inputs, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x)))


SCALE_THEMSELVES = {
    "Rescaling": lambda: model(L.Rescaling(1 / 255)),
    "Rescaling behind others": lambda: model(L.RandomFlip(), L.Rescaling(1 / 127.5, offset=-1)),
    "Normalization of bytes": lambda: model(normalization(BYTES)),
    "preprocess_input, caffe": lambda: model(preprocessing("resnet")),
    "preprocess_input, tf": lambda: model(preprocessing("mobilenet_v2")),
    "preprocess_input, torch": lambda: model(preprocessing("densenet")),
    "a layer of one's own": lambda: model(DividesByItself()),
    "Lambda": lambda: model(L.Lambda(lambda x: x / 255)),
    "a nested model": lambda: model(
        keras.Sequential([keras.Input((8, 8, 3)), L.Rescaling(1 / 255), L.Conv2D(3, 1)])
    ),
    "an input of bytes": lambda: model(L.Rescaling(1 / 255), dtype="uint8"),
}
DO_NOT = {
    "plain": model,
    "augmentation": lambda: model(L.RandomFlip()),
    "batch normalization": lambda: model(L.BatchNormalization()),
    "Normalization of scaled": lambda: model(normalization(BYTES / 255)),
}


@pytest.mark.parametrize("name", SCALE_THEMSELVES)
def test_a_model_that_scales_its_inputs_gets_bytes(name):
    made = SCALE_THEMSELVES[name]()
    data = graph.as_taken(made, from_arrays(BYTES, LABELS))
    np.testing.assert_array_equal(data.x_test, np.round(data.x_test))
    assert data.x_test.max() > 200
    assert data.normalization == "as given, 0 to 255: the model scales its inputs by itself"
    assert graph.scaled_twice(made, data) == []
    if name != "an input of bytes":  # it reads whole numbers: nothing is left of scaled ones
        for scale in ("1/255", "-1..1"):
            assert graph.scaled_twice(made, from_arrays(BYTES, LABELS, scale=scale)) == ["image"]


@pytest.mark.parametrize("name", DO_NOT)
def test_others_get_images_scaled(name):
    data = from_arrays(BYTES, LABELS)
    assert graph.as_taken(DO_NOT[name](), data) is data
    for scale in ("auto", "none", "1/255", "-1..1"):
        assert graph.scaled_twice(DO_NOT[name](), from_arrays(BYTES, LABELS, scale=scale)) == []


def test_numbers_that_are_sparse_or_small_are_no_scaled_images():
    inputs = keras.Input((50,))
    table = keras.Model(inputs, L.Dense(2)(inputs))
    x = (rng.random((100, 50)) < 0.01).astype(np.float32)
    assert graph.scaled_twice(table, from_arrays(x, np.arange(100) % 2)) == []


def test_places_in_a_table_are_not_scaled():
    inputs = keras.Input((5,))
    read = keras.Model(inputs, L.Dense(3)(L.Flatten()(L.Embedding(256, 4)(inputs))))
    tokens = rng.integers(0, 256, (60, 5), dtype=np.uint8)
    assert graph.as_taken(read, from_arrays(tokens, np.arange(60) % 3)).x_train.max() > 1


@pytest.fixture(scope="module")
def trained():
    """A model with its scaling inside, trained on bytes by its owner."""
    made = model(L.Rescaling(1 / 255))
    made.compile(keras.optimizers.Adam(0.03), "sparse_categorical_crossentropy", metrics=["accuracy"])
    made.fit(BYTES, LABELS, epochs=8, batch_size=32, verbose=0)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("colours")
    for number, (image, label) in enumerate(zip(BYTES, LABELS, strict=True)):
        path = root / ("red", "green", "blue")[label] / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(image).save(path)
    return root


def run(made, data, out, stages=STAGES, **options):
    return tfopt.Pipeline(stages).run(made, data, out=out, quiet=True, **options)


def test_images_of_a_folder_reach_such_a_model_as_they_are(trained, folder, tmp_path):
    order = ["red", "green", "blue"]
    data = tfopt.data.load(folder)  # alphabetical: blue, green, red
    turned = model(L.Rescaling(1 / 255))
    turned.set_weights(trained.get_weights())
    kernel, bias = turned.layers[-1].get_weights()
    places = [order.index(name) for name in data.class_names]
    turned.layers[-1].set_weights([kernel[:, places], bias[places]])
    turned.compile(keras.optimizers.Adam(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        done = run(turned, data, tmp_path)
    assert done.record["stages"][0]["metrics"]["accuracy"] > 0.9
    assert done.metrics["accuracy"] > 0.9
    assert done.record["warnings"] == []
    contract = done.record["stages"][-1]["contract"]
    assert contract["class_names"] == ["blue", "green", "red"]
    assert contract["preprocessing"].startswith("as given, 0 to 255")
    [spec] = contract["inputs"]
    assert (spec["name"], spec["dtype"], spec["shape"]) == ("image", "int8", [1, 8, 8, 3])
    assert spec["scale"] * (127 - spec["zero_point"]) > 200
    assert (done.path / "labels.txt").read_text() == "blue\ngreen\nred\n"
    right = done.tflite.predict(data.unscaled().x_test).argmax(1) == data.y_test
    assert right.mean() == pytest.approx(done.metrics["accuracy"])
    rows = done.record["stages"][-1]["classes"]
    assert [row["class"] for row in rows] == ["blue", "green", "red"]
    mean = sum(row["samples"] * row["accuracy"] for row in rows) / sum(row["samples"] for row in rows)
    assert mean == pytest.approx(done.metrics["accuracy"])


def test_scaling_twice_is_said_once_and_stands_in_the_record(trained, tmp_path):
    data = from_arrays(BYTES, LABELS, scale="1/255")
    with pytest.warns(UserWarning, match="scaled twice") as caught:
        done = run(trained, data, tmp_path)
    said = [
        str(each.message)
        for each in caught
        if "held-out" in str(each.message) or "twice" in str(each.message)
    ]
    assert len(said) == 2
    assert said == done.record["warnings"] == json.loads((done.path / "run.json").read_text())["warnings"]
    assert "'image' is scaled twice" in said[0]
    assert "no better than a guess" in said[1]
    for text in (done.report, (done.path / "report.html").read_text()):
        assert all(
            " ".join(each.split())[:40] in " ".join(text.split()).replace("&#39;", "'") for each in said
        )
    # The advice works.
    better = run(trained, from_arrays(BYTES, LABELS, scale="none"), tmp_path / "none")
    assert better.metrics["accuracy"] > 0.9
    assert better.record["warnings"] == []


def test_a_model_that_a_later_stage_trains_is_not_warned_of(tmp_path):
    raw = model(L.Conv2D(3, 1, name="one"), L.Conv2D(3, 1, name="other"))
    raw.layers[-1].kernel.assign(np.zeros(raw.layers[-1].kernel.shape))
    raw.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    stages = [tfopt.Tie({"one": "tied", "other": "tied"}), tfopt.Train(epochs=1)]
    data = from_arrays(BYTES, LABELS, scale="none")
    done = run(raw, data, tmp_path, stages)
    assert done.record["stages"][0]["at_chance"]
    assert done.record["warnings"] == []


def test_inputs_that_saturate_are_said(trained, tmp_path):
    dark, light = BYTES[:75] // 4, BYTES[75:]
    data = from_arrays(dark, LABELS[:75], x_test=light, y_test=LABELS[75:], scale="none")
    with pytest.warns(UserWarning, match="input 'image' of the file saturates"):
        done = run(trained, data, tmp_path, [STAGES[0], tfopt.ExportTFLite(min_agreement=0.0)])
    assert any("saturates" in each for each in done.record["warnings"])


def test_a_regression_no_better_than_the_mean_is_said(tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    made = keras.Model(inputs, L.Dense(1)(inputs))
    made.compile("adam", "mse", metrics=["mae"])
    x = rng.normal(size=(100, 4))
    data = from_arrays(x, x @ [[1.0], [2], [3], [4]] + 50, num_classes=None)
    with pytest.warns(UserWarning, match="no better than the mean of the targets"):
        run(made, data, tmp_path, [tfopt.Prune(0.5, epochs=1)])


X = rng.normal(size=(90, 6)).astype(np.float32)
X[np.arange(90), LABELS[:90]] += 3
WORDS = np.array(["red", "green", "blue"])[LABELS[:90]]
FORMS = {
    "integers": LABELS[:90],
    "a list": LABELS[:90].tolist(),
    "one-hot": np.eye(3)[LABELS[:90]],
    "text": WORDS,
}
LOSSES = {
    "sparse": "sparse_categorical_crossentropy",
    "sparse object": keras.losses.SparseCategoricalCrossentropy(),
    "rows": "categorical_crossentropy",
    "rows object": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
    "binary": "binary_crossentropy",
}


def _each_with_one(loss, form):
    """Leave pairs of which another pair tests the loss, and another the form, to `make test-all`."""
    quick = loss == "rows" or form == "integers"
    return pytest.param(loss, form, marks=() if quick else pytest.mark.slow)


@pytest.mark.parametrize(
    ("loss", "form"), [_each_with_one(*pair) for pair in itertools.product(LOSSES, FORMS)]
)
def test_labels_of_every_form_train_with_every_loss(loss, form, tmp_path):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    made = keras.Model(inputs, L.Dense(3, activation="softmax")(inputs))
    made.compile(keras.optimizers.Adam(0.05), LOSSES[loss], metrics=["accuracy"])
    data = from_arrays(X, FORMS[form], class_weight="balanced")
    done = run(made, data, tmp_path, [tfopt.Train(epochs=6)], batch_size=16)
    rows = done.record["stages"][-1]["classes"]
    assert np.mean([row["accuracy"] for row in rows]) > 0.7
    if loss != "binary":  # whose accuracy Keras counts element by element
        assert done.metrics["accuracy"] > 0.7


def test_shares_of_classes_train_as_the_refusal_says(tmp_path):
    shares = np.eye(3)[LABELS[:90]] * 0.8 + 0.2 / 3
    with pytest.raises(tfopt.errors.DataError, match="num_classes=None"):
        from_arrays(X, shares)
    inputs = keras.Input((6,))
    made = keras.Model(inputs, L.Dense(3, activation="softmax")(inputs))
    made.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    assert run(made, from_arrays(X, shares, num_classes=None), tmp_path, [tfopt.Train(epochs=1)]).complete


def test_to_tflite_calibrates_on_bytes_for_such_a_model(trained):
    file = tfopt.to_tflite(trained, "int8", from_arrays(BYTES, LABELS))
    assert file.inputs[0].scale * 255 > 200
