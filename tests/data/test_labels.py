"""Class labels as integers, text and one-hot rows."""

import numpy as np
import pytest

from tfopt.data.labels import from_text, is_one_hot, is_text, text_names
from tfopt.errors import DataError


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["a", "b"], True),
        (np.array([b"a"]), True),
        (np.array(["a", "b"], object), True),
        (np.array(["a", 1], object), False),
        (np.array([], object), False),
        ([0, 1], False),
    ],
)
def test_what_is_text(labels, text):
    assert is_text(labels) is text


def test_bytes_and_text_name_the_same_class():
    assert text_names(np.array([b"dog", b"cat", b"dog"])) == ["cat", "dog"]
    assert from_text(np.array([[b"dog"], [b"cat"]]), ["cat", "dog"], "y").tolist() == [1, 0]


def test_several_words_a_sample_are_an_error():
    with pytest.raises(DataError, match=r"one label a sample, got text of shape \(1, 2\)"):
        from_text(np.array([["a", "b"]]), ["a", "b"], "y")


@pytest.mark.parametrize(
    ("labels", "one_hot"),
    [
        (np.eye(3), True),
        (np.eye(3, dtype=bool), True),
        (np.array([[1, 1]]), False),
        (np.array([[0.3, 0.7]]), False),
        (np.ones((3, 1)), False),
        (np.array([0, 1]), False),
    ],
)
def test_what_is_one_hot(labels, one_hot):
    assert is_one_hot(labels) is one_hot
