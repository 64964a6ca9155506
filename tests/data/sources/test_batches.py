import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.data import from_batches
from tfopt.data.sources.batches import as_dataset
from tfopt.data.streaming import disk, stored
from tfopt.data.streaming.stored import Stored
from tfopt.errors import DataError, InvalidArgumentError

rng = np.random.default_rng(0)
X = rng.integers(0, 256, (90, 6, 5, 3), dtype=np.uint8)
Y = np.arange(90) % 3


class Batches(keras.utils.PyDataset):
    def __init__(self, x=X, y=Y, random=False):
        super().__init__()
        self.x, self.y, self.random, self.reads = x, y, random, 0

    def __len__(self):
        return -(-len(self.x) // 16)

    def __getitem__(self, index):
        rows = slice(16 * index, 16 * index + 16)
        self.reads += self.random
        noise = self.reads
        return self.x[rows] + np.uint8(noise), self.y[rows]


def generator():
    for start in range(0, 90, 16):
        yield X[start : start + 16], Y[start : start + 16]


def slices(*parts):
    return tf.data.Dataset.from_tensor_slices(parts)


SOURCES = {
    "samples": lambda: slices(X, Y),
    "batches": lambda: slices(X, Y).batch(16),
    "full batches": lambda: slices(X, Y).batch(15, drop_remainder=True),
    "shuffled": lambda: slices(X, Y).shuffle(90).batch(7),
    "a PyDataset": Batches,
    "a generator function": lambda: generator,
    "a function of a dataset": lambda: lambda: slices(X, Y).batch(8),
}


def samples(data):
    """Return the samples of each split, which may come in any order, in one order."""
    found = {}
    for split in ("train", "validation", "test"):
        x, y = (np.asarray(part) for part in data.split(split))
        order = np.lexsort(x.reshape(len(x), -1).T)
        found[split] = (x[order], y[order])
    return found


@pytest.mark.parametrize("source", SOURCES)
def test_every_source_gives_the_same_data(source, monkeypatch):
    data = from_batches(SOURCES[source](), seed=1)
    assert (data.num_classes, data.input_shape, data.normalization) == (3, (6, 5, 3), "x / 255")
    assert data.fingerprint() == from_batches(generator, seed=1).fingerprint()
    x = np.concatenate([part[0] for part in samples(data).values()])
    assert len(x) == 90
    np.testing.assert_array_equal(
        np.sort(x.sum(axis=(1, 2, 3))), np.sort((X / np.float32(255)).sum((1, 2, 3)))
    )
    monkeypatch.setattr(stored, "LIMIT", 20_000)
    on_disk = from_batches(SOURCES[source](), seed=1)
    monkeypatch.undo()
    assert isinstance(on_disk.x_train, Stored)
    assert isinstance(on_disk.y_train, np.ndarray)
    assert "temporary file" in on_disk.place
    for split, (x, y) in samples(on_disk).items():
        np.testing.assert_array_equal(x, samples(data)[split][0])
        np.testing.assert_array_equal(y, samples(data)[split][1])
    assert on_disk.fingerprint() == from_disk(SOURCES[source], monkeypatch).fingerprint()


def from_disk(source, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(stored, "LIMIT", 20_000)
        return from_batches(source(), seed=1)


def test_records_of_tensorflow(tmp_path):
    feature = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    for part in range(2):
        with tf.io.TFRecordWriter(str(tmp_path / f"{part}.tfrecord")) as writer:
            for x, y in zip(X[part::2], Y[part::2], strict=True):
                image = tf.train.Feature(bytes_list=tf.train.BytesList(value=[tf.io.encode_png(x).numpy()]))
                label = tf.train.Feature(int64_list=tf.train.Int64List(value=[y]))
                features = tf.train.Features(feature={"image": image, "label": label})
                writer.write(tf.train.Example(features=features).SerializeToString())

    def parse(record):
        found = tf.io.parse_single_example(record, feature)
        return tf.ensure_shape(tf.io.decode_png(found["image"]), (6, 5, 3)), found["label"]

    files = tf.data.Dataset.list_files(str(tmp_path / "*.tfrecord"))
    records = tf.data.TFRecordDataset(files, num_parallel_reads=2).map(parse, num_parallel_calls=2)
    data = from_batches(records)
    assert data.num_classes == 3
    for split, (x, y) in samples(from_batches(slices(X, Y))).items():
        np.testing.assert_array_equal(samples(data)[split][0], x)
        np.testing.assert_array_equal(samples(data)[split][1], y)


def test_labels_stay_with_their_inputs():
    data = from_batches(slices(X, Y).shuffle(90))
    labels = {(row / np.float32(255)).tobytes(): label for row, label in zip(X, Y, strict=True)}
    for split in ("train", "validation", "test"):
        for row, label in zip(*data.split(split), strict=True):
            assert labels[row.tobytes()] == label


def test_splits_that_are_given():
    data = from_batches(
        slices(X, Y), validation=slices(X[:9], Y[:9]).batch(4), test=lambda: iter([(X[:6], Y[:6])])
    )
    assert [len(data.split(name)[1]) for name in ("train", "validation", "test")] == [90, 9, 6]
    data = from_batches(slices(X, Y), validation=0.5, test=0.5)
    assert [len(data.split(name)[1]) for name in ("train", "validation", "test")] == [23, 22, 45]


def test_several_inputs_and_targets_with_weights(monkeypatch):
    x = {"image": X.astype(np.float64), "table": rng.normal(size=(90, 4))}
    y = {"mask": (X > 99).astype(np.int64), "value": rng.normal(size=(90, 1))}
    weights = rng.uniform(size=90)
    whole = from_batches(slices(x, y, weights).batch(16))
    monkeypatch.setattr(stored, "LIMIT", 20_000)
    data = from_batches(slices(x, y, weights).batch(16))
    monkeypatch.undo()
    assert data.num_classes is None
    assert data.input_shape == {"image": (6, 5, 3), "table": (4,)}
    assert isinstance(data.y_train["mask"], Stored)
    assert isinstance(data.y_train["value"], np.ndarray)
    for name in ("x_train", "y_train", "x_test", "y_test"):
        for key, array in getattr(whole, name).items():
            np.testing.assert_array_equal(getattr(data, name)[key][:], array)
            assert array.dtype == np.float32
    for key, array in whole.sample_weight_train.items():
        np.testing.assert_array_equal(data.sample_weight_train[key], array)
    batch = next(iter(data.training_batches(8, seed=0)))
    assert batch[0]["image"].shape == (8, 6, 5, 3)
    assert len(batch) == 3


@pytest.mark.parametrize(
    ("y", "classes"),
    [
        (Y, 3),
        (np.eye(3, dtype=np.float32)[Y], 3),
        (np.array(["a", "b", "c"])[Y], 3),
        ((Y > 0).astype(np.float32)[:, None], 2),
        (rng.normal(size=90), None),
        (Y.astype(np.float32), None),
        (rng.normal(size=(90, 2)), None),
    ],
    ids=str,
)
def test_which_targets_are_classes(y, classes):
    assert from_batches(slices(X, y)).num_classes == classes
    assert from_batches(slices(X, y), num_classes=None if classes is None else "infer").num_classes == classes


def test_options_are_those_of_arrays():
    data = from_batches(
        generator, class_weight="balanced", scale="none", class_names=["a", "b", "c"], name="n"
    )
    assert data.class_weight.keys() == {0, 1, 2}
    assert (data.class_names, data.normalization, data.name) == (("a", "b", "c"), "as given", "n")
    with pytest.raises(InvalidArgumentError, match="has no option labels; expected validation, test, steps"):
        from_batches(generator, labels=3)


def endless():
    while True:
        yield from generator()


def shuffled_without_end():
    for seed in itertools.count():
        order = np.random.default_rng(seed).permutation(90)[:32]
        yield X[order], Y[order]


def test_data_that_never_ends(monkeypatch, tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"never ends.*say with steps="):
        from_batches(slices(X, Y).batch(16).repeat())
    data = from_batches(slices(X, Y).batch(16).repeat(), steps=3)  # as it says
    assert sum(len(data.split(name)[1]) for name in ("train", "validation", "test")) == 48

    class Endless(Batches):
        num_batches = None

    with pytest.raises(InvalidArgumentError, match="never ends"):
        from_batches(Endless())
    assert from_batches(Endless(), steps=2).num_classes == 3
    with pytest.raises(InvalidArgumentError, match=r"repeats itself after 6 batches .* pass steps=6"):
        from_batches(endless)
    assert from_batches(endless, steps=6).fingerprint() == from_batches(generator).fingerprint()
    monkeypatch.setattr(stored, "LIMIT", 100_000)
    monkeypatch.setattr(disk, "_KEPT_FREE", 2**60)
    with pytest.raises(DataError, match=r"has not ended after .* samples.*pass steps="):
        from_batches(shuffled_without_end, cache=tmp_path)
    assert from_batches(shuffled_without_end, steps=2).num_classes == 3
    with pytest.raises(InvalidArgumentError, match="The validation data never ends"):
        from_batches(generator, validation=slices(X, Y).repeat())
    data = from_batches(generator, validation=slices(X, Y).repeat(), steps={"validation": 10})
    assert len(data.x_val) == 10


def test_a_split_of_another_name():
    with pytest.raises(InvalidArgumentError, match="dict of train, validation, test, got 'val': name each"):
        as_dataset({"train": generator, "val": generator})
    data = as_dataset({"train": generator, "validation": generator})  # as it says
    assert len(data.x_val) == len(X)


def test_what_can_be_read_only_once_and_what_is_empty():
    with pytest.raises(InvalidArgumentError, match=r"is an iterator .generator.*give the function that"):
        from_batches(generator())
    with pytest.raises(DataError, match="The training data is empty"):
        from_batches(slices(X[:0], Y[:0]))
    with pytest.raises(DataError, match="The test data is empty"):
        from_batches(generator, test=lambda: iter(()))
    with pytest.raises(InvalidArgumentError, match=r"must be a tf\.data\.Dataset, a keras\.utils"):
        from_batches(X)
    with pytest.raises(InvalidArgumentError, match="function that returned a dict"):
        from_batches(dict)


def test_data_that_is_shared_already(two_devices):
    shared = two_devices.experimental_distribute_dataset(slices(X, Y).batch(16))
    with pytest.raises(InvalidArgumentError, match=r"cannot be sharded again: give the tf\.data\.Dataset"):
        from_batches(shared)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda: slices(X).batch(4), "must give .inputs, targets. or"),
        (lambda: slices({"x": X, "y": Y}).batch(4).map(lambda x: x["x"]), "must give .inputs, targets. or"),
        (lambda: lambda: iter([{"x": X, "y": Y}]), "got a dict of 2 at batch 1"),
        (lambda: lambda: iter([(X[:4], Y[:3])]), "as many of inputs as of targets"),
        (lambda: lambda: iter([(X[0], 3)]), "single samples"),
        (
            lambda: lambda: iter([(X, Y), (X[:, :3], Y)]),
            "of shape .3, 5, 3. .* bring all samples",
        ),
        (lambda: lambda: iter([(X, Y), ((X, X), Y)]), "gives x/0, x/1, y at batch 2 and x, y"),
        (
            lambda: lambda: iter([(np.full((4, 2), np.nan), Y[:4])]),
            "NaN or infinity in x, first at its",
        ),
        (lambda: lambda: (1 / 0 for _ in [1]), "raised ZeroDivisionError after 0 batches: division by zero"),
        (lambda: lambda: iter([({"a": {"b": X}}, Y)]), "nests inputs or targets more than once"),
        (lambda: slices(tf.RaggedTensor.from_row_lengths(tf.range(90), [1] * 90), Y), "holds a RaggedTensor"),
    ],
)
def test_elements_that_are_no_batches(source, message):
    with pytest.raises(DataError, match=message):
        from_batches(source())


def test_single_samples_that_look_like_batches():
    volumes = slices(np.zeros((40, 4, 4)), np.zeros((40, 4)))  # a sample of each begins with an axis of 4
    assert len(from_batches(volumes).x_train) > 40
    data = from_batches(volumes, batched=False)
    assert (data.input_shape, len(data.y_test)) == ((4, 4), 8)


def test_samples_that_change_are_warned_of():
    with pytest.warns(UserWarning, match="gives other samples each time.*layers of the model"):
        from_batches(Batches(random=True))
