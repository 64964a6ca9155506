"""What a recipe requires of its data."""

import numpy as np
import pytest

from tfopt.data import from_arrays
from tfopt.errors import DataError

X = np.zeros((30, 8, 6, 3), np.float32)
CLASSES = from_arrays(X, np.arange(30) % 3, name="pets")
NUMBERS = from_arrays(X, np.ones((30, 2)), num_classes=None, name="prices")
MASKS = from_arrays(X, np.arange(30)[:, None, None] % 4 + np.zeros((30, 8, 6)), num_classes=None)
SEVERAL = from_arrays({"a": X, "b": X[:, 0]}, {"label": np.arange(30) % 5, "box": np.zeros((30, 4))})


@pytest.mark.parametrize(
    ("data", "required"),
    [
        (CLASSES, {"input_shape": (None, None, 3), "classes": True, "target_shape": ()}),
        (CLASSES, {"input_shape": (8, 6, 3), "classes": 3}),
        (NUMBERS, {"classes": False, "target_shape": (2,)}),
        (MASKS, {"target_shape": (8, 6), "labels_below": 4}),
        (
            SEVERAL,
            {"input_shape": {"a": (8, 6, 3), "b": (6, None)}, "target_shape": {"label": (), "box": (4,)},
             "labels_below": {"label": 5}},
        ),
    ],
)  # fmt: skip
def test_data_that_fits_is_returned(data, required):
    assert data.require(**required) is data


@pytest.mark.parametrize(
    ("data", "required", "message"),
    [
        (CLASSES, {"classes": False}, "'pets' does not fit: its targets are 3 classes, and expected"),
        (CLASSES, {"classes": 2}, "it has 3 classes, and expected is 2"),
        (NUMBERS, {"classes": True}, "its targets are no classes, and expected is labels of classes"),
        (CLASSES, {"input_shape": (None, 3)}, r"of shape \(8, 6, 3\) a sample, and expected is \(any, 3\)"),
        (NUMBERS, {"target_shape": (1,)}, r"targets are of shape \(2,\) a sample, and expected is \(1,\)"),
        (SEVERAL, {"input_shape": (8, 6, 3)}, "its inputs are a, b, and expected is one array"),
        (SEVERAL, {"target_shape": {"label": (), "box": (2,)}}, r"targets 'box' are of shape \(4,\)"),
        (MASKS, {"labels_below": 3}, "targets hold 3, which is no class, and .* from 0 to 2"),
        (SEVERAL, {"labels_below": {"label": 4}}, "targets 'label' hold 4, which is no class"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said(data, required, message):
    with pytest.raises(DataError, match=message) as caught:
        data.require(**required, why="Give other data.")
    assert str(caught.value).endswith("Give other data.")
