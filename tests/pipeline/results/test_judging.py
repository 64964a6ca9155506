"""The accuracy of each class, and whether predictions are better than a guess."""

import keras
import numpy as np
import pytest

from tfopt.data import from_arrays
from tfopt.pipeline.results.judging import at_chance, by_class, chance_warning, chosen
from tfopt.pipeline.training.compilation import Compilation
from tfopt.run.stage_record import ClassRecord

CLASSES = Compilation.of("sparse_categorical_crossentropy", [])
LOGIT = Compilation.of(keras.losses.BinaryCrossentropy(from_logits=True), [])
PROBABILITY = Compilation.of("binary_crossentropy", [])
SQUARED = Compilation.of("mse", [])


def data(classes=3, names=None):
    labels = np.arange(120) % classes
    return from_arrays(np.zeros((120, 2)), labels, class_names=names)


def one_hot(labels, classes=3):
    return np.eye(classes, dtype=np.float32)[labels]


def test_the_class_of_the_largest_output_is_chosen():
    labels = data().labels("test")
    np.testing.assert_array_equal(chosen(one_hot(labels), data(), CLASSES), labels)


@pytest.mark.parametrize(
    ("compilation", "expected"), [(PROBABILITY, [0, 0, 1]), (LOGIT, [0, 1, 1])], ids=["probability", "logit"]
)
def test_one_output_chooses_between_two_classes(compilation, expected):
    assert chosen(np.array([[-1.0], [0.2], [0.9]]), data(2), compilation).tolist() == expected


@pytest.mark.parametrize(
    "predicted", [None, (1, 2), np.zeros((5, 4)), np.zeros((5, 3, 3)), np.zeros((5, 1))], ids=str
)
def test_outputs_that_choose_no_class_of_the_data(predicted):
    assert chosen(predicted, data(), CLASSES) is None


def test_each_class_has_its_name_its_samples_and_its_accuracy():
    given = data(names=["low", "middle", "high"])
    labels = given.labels("test")
    found = by_class(one_hot(np.where(labels == 1, 2, labels)), given, CLASSES)
    assert [(row.name, row.accuracy) for row in found] == [("low", 1.0), ("middle", 0.0), ("high", 1.0)]
    assert [row.samples for row in found] == np.bincount(labels).tolist()
    assert by_class(one_hot(labels), data(), CLASSES)[0] == ClassRecord(
        name="0", samples=int((labels == 0).sum()), accuracy=1.0
    )


def test_one_class_for_all_is_a_guess_and_the_right_ones_are_not():
    labels = data().labels("test")
    assert at_chance(one_hot(np.zeros_like(labels)), data(), CLASSES) is True
    assert at_chance(one_hot(labels), data(), CLASSES) is False
    assert at_chance(None, data(), CLASSES) is None


def test_the_mean_of_the_targets_is_a_guess_of_a_regression():
    y = np.linspace(0, 1, 120)[:, None]
    given = from_arrays(np.zeros((120, 2)), y, num_classes=None)
    _, targets = given.split("test")
    assert at_chance(np.full_like(targets, targets.mean()), given, SQUARED) is True
    assert at_chance(targets + 0.01, given, SQUARED) is False
    assert at_chance(targets[:3], given, SQUARED) is None
    assert at_chance(targets, given, Compilation.of("poisson", [])) is None


def test_the_warning_says_what_a_guess_is():
    assert "no better than a guess" in chance_warning(data())
    y = np.linspace(0, 1, 120)[:, None]
    assert "the mean of the targets" in chance_warning(from_arrays(np.zeros((120, 2)), y, num_classes=None))
