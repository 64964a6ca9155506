"""What training cannot use is refused by the name of the array that holds it."""

import numpy as np
import pytest

from tfopt.data import checks
from tfopt.errors import DataError


def test_numbers_become_float32():
    assert checks.as_float([[1, 2]], "x").dtype == np.float32


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([[1.0], [np.nan]], "x holds NaN or infinity in 1 of 2 samples, the first at index 1"),
        ([1e300], "NaN or infinity"),
        (np.array([None]), "x must hold numbers, got dtype object"),
    ],
)
def test_what_is_no_number_is_refused(array, message):
    with pytest.raises(DataError, match=message):
        checks.as_float(array, "x")


def test_targets_of_text_that_are_said_to_be_none_are_refused():
    with pytest.raises(DataError, match="y_train is text, which names classes"):
        checks.as_float(["a"], "y_train")


@pytest.mark.parametrize("labels", [[0, 2], [[0], [2]], np.eye(3)[[0, 2]], [0.0, 2.0]])
def test_labels_of_all_forms_are_integers(labels):
    assert checks.integer_labels(labels, "y").tolist() == [0, 2]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0.5], "y must hold integer labels, got 0.5 at index 0"),
        ([-1], "y holds the label -1; labels count from 0"),
        ([[0.2, 0.8]], r"one label a sample .* got shape \(1, 2\)"),
        (np.array([None]), "got dtype object"),
    ],
)
def test_what_is_no_label_is_refused(labels, message):
    with pytest.raises(DataError, match=message):
        checks.integer_labels(labels, "y")


def test_splits_have_as_many_inputs_as_targets():
    checks.check_split({"a": np.zeros((2, 1)), "b": np.zeros(2)}, np.zeros(2), "train")
    with pytest.raises(DataError, match=r"differ in their number of samples \(x_train/a: 2, y_train: 3\)"):
        checks.check_split({"a": np.zeros(2)}, np.zeros(3), "train")
    with pytest.raises(DataError, match="got a single number"):
        checks.check_split(np.zeros(2), 1.0, "train")
    with pytest.raises(DataError, match="The test split is empty"):
        checks.check_split(np.zeros((0, 2)), np.zeros(0), "test")


def test_one_weight_a_sample_counts_for_all_targets():
    targets = {"a": np.zeros(2), "b": np.zeros(2)}
    found = checks.sample_weights(np.array([1, 2]), targets, "train")
    assert {name: weights.tolist() for name, weights in found.items()} == {"a": [1, 2], "b": [1, 2]}
    with pytest.raises(DataError, match="must not be negative, got -1"):
        checks.sample_weights(np.array([1, -1]), np.zeros(2), "train")
    with pytest.raises(DataError, match="in the structure of the targets"):
        checks.sample_weights({"c": np.ones(2)}, targets, "train")


def test_balanced_classes_weigh_alike():
    weights = checks.class_weights("balanced", np.array([0, 0, 0, 1]), 3)
    assert weights == {0: pytest.approx(4 / 9), 1: pytest.approx(4 / 3)}


@pytest.mark.parametrize("weights", [{3: 1.0}, {0: -1.0}, {0: float("nan")}])
def test_weights_of_no_class_or_no_number_are_refused(weights):
    with pytest.raises(DataError, match="finite numbers for the classes 0 to 2"):
        checks.class_weights(weights, np.array([0, 1]), 3)
