"""The arguments of a function as JSON, and back."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfopt.legacy.template import from_template, to_template

VALUES = {
    "numbers": [1, 2.5, True, None, "text"],
    "slices": [slice(None, -1), slice(1, None, 2), Ellipsis],
    "a type": tf.float16,
    "an array": np.array([[1, 2], [3, 4]], np.int32),
    "text": np.array([b"a", b"b"]),
    "nested": {"axis": (0, 1), "inner": {"key": [slice(0, 3)]}},
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_what_json_has_no_form_for_comes_back(value):
    template = to_template(value, [])
    made = from_template(json.loads(json.dumps(template)), [])
    if isinstance(value, np.ndarray):
        assert made.numpy().tolist() == value.tolist()
        assert made.dtype == tf.as_dtype(value.dtype)
    else:
        # JSON has lists alone.
        assert json.dumps(to_template(made, [])) == json.dumps(template)


def test_tensors_are_numbered_in_order_and_filled_in():
    a, b, tensors = keras.Input((1,)), keras.Input((2,)), []
    template = to_template([a, {"key": (b, a)}], tensors)
    assert [x is y for x, y in zip(tensors, [a, b, a], strict=True)] == [True] * 3
    assert from_template(template, ["first", "second", "third"]) == ["first", {"key": ["second", "third"]}]


def test_a_number_in_an_array_is_a_number():
    assert to_template(np.float32(2.0), []) == 2.0
    assert to_template(tf.constant(3), []) == 3
