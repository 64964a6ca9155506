"""Targets are classes or numbers, as those of training say."""

import numpy as np
import pytest

from tfopt.data.targets import Targets
from tfopt.errors import DataError


def test_classes_are_counted_in_the_labels_of_training():
    targets = Targets(np.array([0, 2, 1]), "infer", None)
    assert targets.num_classes is None
    assert targets.read(np.array([0, 2, 1]), "y_train").dtype == np.int32
    assert targets.num_classes == 3
    with pytest.raises(DataError, match=r"y_val holds the label 3, but there are 3 classes"):
        targets.read(np.array([3]), "y_val")


def test_text_is_read_by_the_words_of_training():
    targets = Targets(np.array(["dog", "cat", "dog"]), "infer", None)
    assert targets.class_names == ("cat", "dog")
    assert targets.read(np.array(["dog", "cat"]), "y_train").tolist() == [1, 0]
    assert targets.num_classes == 2
    with pytest.raises(DataError, match=r"y_test holds the label 'bird'; the classes are 'cat', 'dog'"):
        targets.read(np.array(["bird"]), "y_test")


def test_one_hot_rows_tell_the_number_of_classes():
    targets = Targets(np.eye(4)[[0, 1]], "infer", None)
    assert targets.num_classes == 4
    assert targets.read(np.eye(4)[[0, 1]], "y_train").tolist() == [0, 1]


def test_several_targets_are_no_classes():
    targets = Targets((np.zeros(3), np.ones(3)), "infer", None)
    read = targets.read((np.zeros(3), np.ones(3)), "y_train")
    assert targets.num_classes is None
    assert [each.dtype for each in read] == [np.float32, np.float32]


def test_none_means_numbers():
    targets = Targets(np.array([0, 1]), None, None)
    assert targets.read(np.array([0, 1]), "y_train").dtype == np.float32
    assert targets.num_classes is None


def test_names_without_labels_of_theirs_count_as_classes():
    targets = Targets(np.array([0, 1]), "infer", ["a", "b", "c"])
    targets.read(np.array([0, 1]), "y_train")
    targets.require_names_fit()
    assert targets.num_classes == 3


def test_there_is_a_name_for_each_class():
    targets = Targets(np.array([0, 2]), "infer", ["a", "b"])
    targets.read(np.array([0, 2]), "y_train")
    with pytest.raises(DataError, match="There are 2 class names for 3 classes"):
        targets.require_names_fit()
