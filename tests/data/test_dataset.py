import numpy as np
import pytest

from tfopt.data import from_arrays
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
        ({"y_train": np.array(["a"] * 40)}, "must hold integer labels, got dtype"),
        ({"y_train": np.eye(4)[np.arange(40) % 4]}, r"one-hot labels take `y.argmax\(axis=1\)`"),
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
        ({"class_names": "abcde", "num_classes": 4}, "5 class names for 4 classes"),
        ({"x_train": 3.0}, "single number"),
    ],
)
def test_what_training_cannot_use_is_refused(change, message):
    x, y = arrays()
    with pytest.raises(DataError, match=message):
        from_arrays(**({"x_train": x, "y_train": y} | change))


@pytest.mark.parametrize("share", [0, 1, -0.5, 1.5])
def test_a_share_outside_0_to_1(share):
    with pytest.raises(InvalidArgumentError, match="between 0 and 1"):
        from_arrays(*arrays(), validation=share)


def test_an_unknown_split():
    with pytest.raises(InvalidArgumentError, match="choose from train, validation, test"):
        from_arrays(*arrays()).split("val")
