import numpy as np
import pytest

from tfopt.data import from_arrays
from tfopt.data.structure import map_leaves
from tfopt.errors import DataError, InvalidArgumentError


def arrays(samples=40, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((samples, 3, 3, 1), np.float32), np.arange(samples) % classes


def test_splits_are_disjoint_stratified_and_decided_by_the_seed():
    x = np.arange(200, dtype=np.float32)[:, None]
    y = np.arange(200) % 4
    data = from_arrays(x, y, seed=3)
    ids = [set(data.split(name)[0][:, 0]) for name in ("train", "validation", "test")]
    assert [len(part) for part in ids] == [144, 16, 40]
    assert set.union(*ids) == set(range(200))
    assert np.bincount(data.y_test).tolist() == [10] * 4
    assert np.bincount(data.y_val).tolist() == [4] * 4
    again, other = from_arrays(x, y, seed=3), from_arrays(x, y, seed=4)
    assert again.fingerprint() == data.fingerprint()
    assert other.fingerprint() != data.fingerprint()
    np.testing.assert_array_equal(other.x_test, data.x_test)  # every seed meets the same test


def test_what_describe_says():
    x, y = arrays()
    data = from_arrays((x * 255).astype(np.uint8), y, name="squares")
    assert data.describe() == {
        "name": "squares",
        "input_shape": [3, 3, 1],
        "num_classes": 4,
        "train": 29,
        "validation": 3,
        "test": 8,
        "normalization": "x / 255",
        "fingerprint": data.fingerprint(),
    }
    assert data.x_train.dtype == np.float32
    assert data.x_train.max() <= 1
    assert data.y_train.dtype == np.int32
    with pytest.raises(ValueError, match="read-only"):
        data.x_train[0] = 0


def test_several_inputs_and_targets_that_are_not_classes():
    x, y = arrays()
    data = from_arrays({"b": x, "a": x[:, 0]}, (y, x.mean(axis=(1, 2))), num_classes=None, test=0.25)
    assert data.input_shape == {"b": (3, 3, 1), "a": (3, 1)}
    assert len(data.y_test) == 2
    assert data.y_test[1].shape == (10, 1)
    sample = next(data.representative_dataset(5)())
    assert [array.shape for array in sample] == [(1, 3, 1), (1, 3, 3, 1)]  # by name, as Keras orders them


def test_representative_dataset_yields_single_training_samples():
    data = from_arrays(*arrays())
    samples = list(data.representative_dataset(10)())
    assert len(samples) == 10
    assert samples[0][0].shape == (1, 3, 3, 1)
    np.testing.assert_array_equal(samples[-1][0], data.x_train[-1:])
    assert len(list(data.representative_dataset()())) == len(data.x_train)


NAN = np.full((40, 3, 3, 1), 0.0)
NAN[7, 0, 0] = np.nan


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x_train": NAN}, r"x_train holds NaN or infinity in 1 of 40 samples, the first at index 7"),
        ({"x_train": np.full((40, 2), 1e300)}, "NaN or infinity"),
        ({"x_train": np.array([None] * 40)}, "must hold numbers, got dtype object"),
        ({"x_train": np.array(["a"] * 40)}, "must hold numbers"),
        ({"y_train": np.arange(40) - 1}, "holds the label -1; labels count from 0"),
        ({"y_train": np.arange(40) + 0.5}, "must hold integer labels, got 0.5 at index 0"),
        ({"y_train": np.full(40, np.nan)}, "must hold integer labels"),
        ({"y_train": np.array([object()] * 40)}, "must hold integer labels or text, got dtype object"),
        ({"y_train": np.array(["a"] * 40), "num_classes": None}, "Leave num_classes out"),
        ({"y_train": np.full((40, 4), 0.25)}, "one-hot rows of a single 1.*pass `num_classes=None`"),
        ({"y_train": ["a", "b"] * 20, "y_test": ["c"] * 4, "x_test": NAN[:4]}, "y_test holds the label 'c'"),
        ({"x_train": [[1, 2]] * 39 + [[1]]}, "samples of a list differ in shape"),
        ({"y_train": np.arange(39)}, r"differ in their number of samples \(x_train: 40, y_train: 39\)"),
        ({"x_train": np.zeros((0, 3)), "y_train": np.zeros(0, int)}, "train split is empty"),
        ({"x_test": np.zeros((0, 3)), "y_test": np.zeros(0, int)}, "test split is empty"),
        (
            {"x_test": np.zeros((4, 3, 3, 1)), "y_test": np.arange(4) + 3},
            "y_test holds the label 6, but there",
        ),
        ({"x_test": np.zeros((4, 5, 5, 1)), "y_test": np.arange(4)}, "differ in shape"),
        ({"x_test": np.zeros((4, 3, 3, 1))}, "test split needs both"),
        ({"num_classes": 3}, "y_train holds the label 3, but there are 3 classes"),
        ({"class_names": list("abcde"), "num_classes": 4}, "5 class names for 4 classes"),
        ({"x_train": 3.0}, "single number"),
    ],
)
def test_what_training_cannot_use_is_refused(change, message):
    x, y = arrays()
    with pytest.raises(DataError, match=message):
        from_arrays(**({"x_train": x, "y_train": y} | change))


LABELS = np.arange(40) % 4
WORDS = np.array(["dog", "cat", "eel", "bat"])[LABELS]


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (LABELS.tolist(), None),
        (LABELS[:, None], None),
        (np.eye(4)[LABELS], None),
        (np.eye(4, dtype=int)[LABELS].tolist(), None),
        ([np.eye(4)[label] for label in LABELS], None),
        (WORDS, ("bat", "cat", "dog", "eel")),
        (WORDS.tolist(), ("bat", "cat", "dog", "eel")),
        (WORDS.astype(object)[:, None], ("bat", "cat", "dog", "eel")),
        (WORDS.astype(bytes), ("bat", "cat", "dog", "eel")),
    ],
)
def test_labels_in_every_form(labels, names):
    data = from_arrays(arrays()[0], labels, test=0.25)
    assert data.num_classes == 4
    assert data.class_names == names
    expected = LABELS if names is None else np.array([names.index(word) for word in WORDS])
    assert data.y_train.dtype == np.int32
    assert np.bincount(np.concatenate([data.y_train, data.y_val, data.y_test])).tolist() == [10] * 4
    same = from_arrays(arrays()[0], expected, test=0.25)
    np.testing.assert_array_equal(data.y_test, same.y_test)
    rows = data.one_hot()
    assert rows.y_train.shape == (len(data.y_train), 4)
    np.testing.assert_array_equal(rows.labels("train"), data.labels("train"))


def test_names_of_ones_own_decide_the_order_of_text():
    data = from_arrays(arrays()[0], WORDS, class_names=["eel", "dog", "cat", "bat", "ant"])
    assert data.num_classes == 5
    assert data.describe()["class_names"] == ["eel", "dog", "cat", "bat", "ant"]
    assert set(data.y_train) == {0, 1, 2, 3}


def test_weights_of_classes_hold_for_rows_too():
    data = from_arrays(*arrays(), class_weight={1: 3.0}).one_hot()
    _, y, weights = next(iter(data.training_batches(64, seed=0)))
    np.testing.assert_array_equal(weights, np.where(np.argmax(y, axis=1) == 1, 3.0, 1.0))


X, Y = arrays()


@pytest.mark.parametrize(
    ("x", "y", "inputs", "targets"),
    [
        (X.tolist(), Y.tolist(), (3, 3, 1), ()),
        (list(X), list(Y), (3, 3, 1), ()),
        (list(X), list(X[:, 0]), (3, 3, 1), (3, 1)),
        ([X, X[:, 0]], Y, ((3, 3, 1), (3, 1)), ()),
        ([X, X[:, 0]], [Y, Y], ((3, 3, 1), (3, 1)), ((), ())),
        ((X.tolist(), list(X[:, 0])), (Y, Y), ((3, 3, 1), (3, 1)), ((), ())),
        ({"a": X.tolist(), "b": list(X)}, {"c": Y.tolist()}, {"a": (3, 3, 1), "b": (3, 3, 1)}, {"c": ()}),
    ],
)
def test_lists_are_samples_or_several_inputs(x, y, inputs, targets):
    num_classes = "infer" if targets in ((), ((), ())) or isinstance(targets, dict) else None
    data = from_arrays(x, y, num_classes=num_classes)
    assert data.input_shape == inputs
    assert map_leaves(lambda array: array.shape[1:], data.y_train) == targets


BYTES = np.arange(40 * 9, dtype=np.uint8).reshape(40, 3, 3, 1)


def half(x):
    x /= 2  # in place, as the functions of keras.applications
    return x


@pytest.mark.parametrize(
    ("scale", "text", "expected"),
    [
        ("auto", "x / 255", BYTES / np.float32(255)),
        ("none", "as given", BYTES),
        ("1/255", "x / 255", BYTES / np.float32(255)),
        ("1/16", "x / 16", BYTES / np.float32(16)),
        ("-1..1", "x / 127.5 - 1", BYTES / np.float32(127.5) - 1),
        (half, "half(x)", BYTES / np.float32(2)),
        (lambda x: x + 1, "a function(x)", BYTES + np.float32(1)),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_the_data_says_was_done_was_done(scale, text, expected, dtype):
    given = BYTES.astype(dtype)
    data = from_arrays(given, Y, x_test=given[:4], y_test=Y[:4], scale=scale)
    if scale == "auto" and dtype is np.float32:
        text, expected = "as given", BYTES
    np.testing.assert_allclose(data.x_test, expected[:4].astype(np.float32), rtol=1e-6)
    assert data.normalization == data.describe()["normalization"] == text
    np.testing.assert_array_equal(given, BYTES)
    chosen_by_default = scale == "auto" and dtype is np.uint8
    np.testing.assert_array_equal(data.unscaled().x_test, BYTES[:4] if chosen_by_default else data.x_test)


def test_each_input_has_a_scale_of_its_own():
    data = from_arrays({"image": BYTES, "table": X[:, 0], "mask": BYTES}, Y, scale={"mask": "none"})
    assert data.normalization == "image: x / 255, mask: as given, table: as given"
    assert data.x_train["mask"].max() > 1 >= data.x_train["image"].max()
    assert data.unscaled().x_train["image"].max() > 1
    np.testing.assert_array_equal(data.unscaled().x_train["table"], data.x_train["table"])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"scale": "255"}, InvalidArgumentError, 'must be "auto", "none", "1/255"'),
        ({"scale": 255}, InvalidArgumentError, "or a function of an array, got 255"),
        ({"scale": "1/0"}, InvalidArgumentError, "got '1/0'"),
        ({"scale": {"image": "none"}}, InvalidArgumentError, "scale has image, and the inputs are not named"),
        ({"scale": "1/255"}, DataError, "it is scaled already"),
        ({"scale": "-1..1"}, DataError, 'pass scale="none"'),
        ({"scale": lambda x: x.mean()}, DataError, "one row a sample"),
        ({"scale": lambda x: x.nothing}, DataError, "a function fails on x_train: AttributeError"),
        ({"scale": lambda x: x / 0}, DataError, r"x_train \(scaled\) holds NaN"),
        ({"normalization": "x / 127.5 - 1"}, InvalidArgumentError, 'Pass scale="1/255", scale="-1..1"'),
    ],
)
@pytest.mark.filterwarnings("ignore:(divide|invalid)")
def test_a_scale_that_cannot_be_done_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        from_arrays(X, Y, **change)


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5])
def test_a_share_outside_0_to_1(share):
    with pytest.raises(InvalidArgumentError, match="between 0 and 1"):
        from_arrays(*arrays(), validation=share)


def test_an_unknown_split():
    with pytest.raises(InvalidArgumentError, match="choose from train, validation, test"):
        from_arrays(*arrays()).split("val")
