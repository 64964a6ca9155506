"""Runs on samples that are read when they are needed end as runs on the same samples in memory."""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import tfopt
from tfopt.data.streaming import stored
from tfopt.data.streaming.stored import Stored
from tfopt.data.structure import map_leaves
from tfopt.errors import DataError, InvalidArgumentError

L = keras.layers
STAGES = [
    tfopt.Train(epochs=2),
    tfopt.PruneChannels(macs=0.8, importance="taylor"),
    tfopt.Prune(0.5, epochs=1, criterion="snip", schedule="one_shot", begin=0.0),
    tfopt.Cluster(8, epochs=1, init="gradient"),
    tfopt.QuantizeAware(epochs=1, calibration_samples=20),
    tfopt.ExportTFLite(min_agreement=0.1, max_drop=None, samples=10),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for i in range(90):
        place = root / f"class{i % 3}"
        place.mkdir(exist_ok=True)
        pixels = rng.integers(0, 180, (8, 8, 3), dtype=np.uint8)
        pixels[..., i % 3] += 70
        Image.fromarray(pixels).save(place / f"{i:02d}.png")
    return root


def model():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    x = L.RandomFlip(seed=1)(inputs)
    x = L.Conv2D(8, 3, activation="relu", name="conv")(x)
    x = L.Conv2D(8, 3, activation="relu", name="conv2")(x)
    x = L.Dropout(0.2, seed=2)(L.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, L.Dense(3, activation="softmax", name="head")(x))


def run(data, out, stages=STAGES, **options):
    made = model()
    made.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return tfopt.Pipeline(stages).run(made, data, out=out, batch_size=16, quiet=True, **options)


def never_whole(self, *_, **__):
    raise AssertionError(f"all {len(self)} samples were read at once")


@pytest.mark.slow
def test_every_stage_does_the_same(folder, tmp_path, monkeypatch):
    held = run(tfopt.data.load(folder, stream=False), tmp_path / "held")
    monkeypatch.setattr(Stored, "__array__", never_whole)
    streamed = run(tfopt.data.load(folder, stream=True), tmp_path / "streamed")
    assert streamed.typed.data.place == "90 image files"
    for ours, theirs in zip(streamed.typed.stages, held.typed.stages, strict=True):
        assert ours.history == theirs.history, ours.name
        for name in ("metrics", "validation"):
            for key, value in getattr(theirs, name).items():
                assert getattr(ours, name)[key] == pytest.approx(value, abs=1e-6), (ours.name, key)
        assert ours.classes == theirs.classes
        assert ours.at_chance == theirs.at_chance
    ours, theirs = (
        keras.saving.load_model(
            each.path / "stages/5-quantize_aware/model.keras", compile=False
        ).get_weights()
        for each in (streamed, held)
    )
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_run_on_streamed_samples(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(Stored, "__array__", never_whole)
    done = run(tfopt.data.load(folder, stream=True), tmp_path, [tfopt.Train(epochs=1)])
    assert done.complete
    assert len(done.typed.stages[0].classes) == 3
    assert run(tfopt.data.load(folder, stream=True), tmp_path, [tfopt.Train(epochs=1)]).path == done.path


@pytest.mark.slow
def test_on_two_devices(folder, tmp_path, two_devices):
    data = tfopt.data.load(folder, stream=True)
    streamed = run(data, tmp_path / "streamed", [tfopt.Train(epochs=2)], strategy=two_devices)
    held = run(tfopt.data.load(folder), tmp_path / "held", [tfopt.Train(epochs=2)], strategy=two_devices)
    ours, theirs = streamed.typed.stages[0].history, held.typed.stages[0].history
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-5, err_msg=name)


def on_demand(data):
    """Return a dataset whose inputs and targets are all read when they are needed."""

    def lazy(array):
        return Stored(
            shape=array.shape, dtype=array.dtype, read=array.__getitem__, digest=lambda: "d", place="a test"
        )

    parts = [f"{part}_{split}" for part in "xy" for split in ("train", "val", "test")]
    return dataclasses.replace(data, **{name: map_leaves(lazy, getattr(data, name)) for name in parts})


def test_several_inputs_and_targets(tmp_path):
    rng = np.random.default_rng(0)
    x = {"image": rng.normal(size=(60, 6, 6, 1)), "table": rng.normal(size=(60, 4))}
    y = {"mask": (x["image"] > 0).astype(np.float32), "value": x["table"].sum(axis=1, keepdims=True)}
    data = tfopt.data.from_arrays(x, y)

    def two():
        keras.utils.set_random_seed(0)
        image, table = keras.Input((6, 6, 1), name="image"), keras.Input((4,), name="table")
        mask = L.Conv2D(1, 3, padding="same", activation="sigmoid", name="mask")(image)
        made = keras.Model([image, table], {"mask": mask, "value": L.Dense(1, name="value")(table)})
        made.compile("adam", {"mask": "binary_crossentropy", "value": "mse"}, metrics={"value": ["mae"]})
        return made

    stages = [tfopt.Train(epochs=1), tfopt.ExportTFLite("float32")]
    runs = [
        tfopt.Pipeline(stages).run(two(), each, out=tmp_path / name, batch_size=8, quiet=True)
        for name, each in (("held", data), ("streamed", on_demand(data)))
    ]
    held, streamed = (each.typed.stages for each in runs)
    for ours, theirs in zip(streamed, held, strict=True):
        for key, value in theirs.metrics.items():
            assert ours.metrics[key] == pytest.approx(value, rel=1e-5), key
        assert ours.history == theirs.history


def test_samples_that_cannot_be_read_in_training(folder, tmp_path):
    data = tfopt.data.load(folder, stream=True)

    def fails(rows):
        if len(rows) > 5:
            raise DataError("Cannot read the image 7.png: gone. Remove or replace it.")
        return rows

    broken = dataclasses.replace(data, x_train=data.x_train.map(fails))
    with pytest.raises(DataError, match=r"^Cannot read the image 7\.png: gone\. Remove or replace it\.$"):
        run(broken, tmp_path, [tfopt.Train(epochs=1)])


def test_what_needs_all_at_once_says_so(folder, monkeypatch):
    data = tfopt.data.load(folder, stream=True)
    monkeypatch.setattr(stored, "LIMIT", 1000)
    with pytest.raises(DataError, match="Give a part of them"):
        np.asarray(data.x_train)


def pictures(count=60):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 180, (count, 8, 8, 3), dtype=np.uint8)
    x[np.arange(count), :, :, np.arange(count) % 3] += 70
    return tf.data.Dataset.from_tensor_slices((x, np.arange(count) % 3))


def test_a_pipeline_takes_a_dataset_of_tensorflow(tmp_path, monkeypatch):
    monkeypatch.setattr(Stored, "__array__", never_whole)
    monkeypatch.setattr(stored, "LIMIT", 10_000)
    data = {"train": pictures().shuffle(60).batch(9), "test": pictures(12)}
    done = run(data, tmp_path, [tfopt.Train(epochs=1)])
    assert "temporary file" in done.typed.data.place
    assert (done.typed.data.train, done.typed.data.validation, done.typed.data.test) == (54, 6, 12)
    assert 0 <= done.typed.stages[0].data_wait <= 1
    assert run(data, tmp_path, [tfopt.Train(epochs=1)]).path == done.path  # in whatever order it comes


def test_data_that_does_not_fit_the_model(tmp_path):
    def other(*shape):
        return tf.data.Dataset.from_tensor_slices((np.zeros((30, *shape)), np.arange(30) % 3)).batch(6)

    with pytest.raises(InvalidArgumentError, match=r"takes inputs of shape .*, the data 'batches'"):
        run(other(8, 8, 1), tmp_path)
    with pytest.raises(InvalidArgumentError, match=r"data must be a tfopt.data.Dataset, a tf"):
        run([1, 2], tmp_path)


def test_a_recipe_takes_a_generator_function_or_one_that_returns_a_dataset():
    def batches():
        for x, y in pictures().batch(20):
            yield x.numpy(), y.numpy()

    for data in (batches, pictures, pictures().batch(7)):
        recipe = tfopt.Recipe(data=data, model=model, optimizer="adam", stages=[tfopt.Train(epochs=1)])
        assert recipe.data.num_classes == 3
        assert recipe.data.input_shape == (8, 8, 3)
