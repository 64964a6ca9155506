"""Checks of arrays before training; errors name the array."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfopt import _validation
from tfopt.data.labels import is_one_hot, is_text
from tfopt.data.streaming.stored import Stored
from tfopt.data.structure import Arrays, count, leaves, map_leaves
from tfopt.errors import DataError


def as_float(array: Any, name: str) -> np.ndarray:
    """Return the array as float32; rows that are not in memory are checked when they are read.

    Raises:
        DataError: it is not numeric, or holds NaN or infinity.
    """
    if isinstance(array, Stored):
        return array.map(lambda rows: as_float(rows, name))  # type: ignore[return-value]
    array = np.asarray(array)
    if is_text(array) and name.startswith("y_"):
        raise DataError(
            f"{name} is text, which names classes, and num_classes=None says that the targets are none. "
            "Leave num_classes out, or give numbers."
        )
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{name} must hold numbers, got dtype {array.dtype}. Object arrays are never unpickled: "
            "save plain numeric arrays, all samples of one shape."
        )
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    wrong = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
    if len(wrong):
        raise DataError(
            f"{name} holds NaN or infinity in {len(wrong)} of {len(array)} samples, the first at index "
            f"{wrong[0]}. Remove or repair them."
        )
    return array


def integer_labels(labels: Any, name: str) -> np.ndarray:
    """Return class labels, integers or one-hot rows, as int32 of shape (samples,).

    Raises:
        DataError: they are not integers from 0, one a sample.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if is_one_hot(labels):
        labels = labels.argmax(axis=1)
    if labels.ndim != 1:
        raise DataError(
            f"{name} must hold one label a sample (integers, text, or one-hot rows of a single 1), got shape "
            f"{labels.shape}. For several labels a sample, shares of classes and other targets pass "
            "`num_classes=None`."
        )
    if labels.dtype.kind not in "fiub":
        raise DataError(
            f"{name} must hold integer labels or text, got dtype {labels.dtype}. Make them one of "
            "these: numpy.array(labels, str)."
        )
    with np.errstate(invalid="ignore"):
        whole = labels.astype(np.int32)
    wrong = np.flatnonzero(whole != labels)
    if len(wrong):
        raise DataError(
            f"{name} must hold integer labels, got {labels[wrong[0]]} at index {wrong[0]}. "
            "For targets that are not classes pass `num_classes=None`."
        )
    if whole.size and whole.min() < 0:
        raise DataError(f"{name} holds the label {whole.min()}; labels count from 0.")
    return whole


def check_range(labels: np.ndarray, num_classes: int, name: str) -> None:
    """Raise `DataError` where a label is not below `num_classes`."""
    if labels.size and labels.max() >= num_classes:
        raise DataError(
            f"{name} holds the label {labels.max()}, but there are {num_classes} classes (0 to "
            f"{num_classes - 1}). Correct the labels or pass `num_classes`."
        )


def check_split(x: Any, y: Any, name: str) -> None:
    """Raise `DataError` where a split is empty or its inputs and labels differ in length."""
    sizes = {
        f"{array}{key and '/' + key}": np.shape(value)[:1]
        for array, values in ((f"x_{name}", x), (f"y_{name}", y))
        for key, value in leaves(values)
    }
    if not sizes or () in sizes.values():
        raise DataError(f"The {name} split must be arrays with one row a sample, got a single number.")
    if len(set(sizes.values())) != 1:
        found = ", ".join(f"{key}: {size[0]}" for key, size in sizes.items())
        raise DataError(f"The arrays of the {name} split differ in their number of samples ({found}).")
    if next(iter(sizes.values()))[0] == 0:
        raise DataError(f"The {name} split is empty. Give it samples, or let tfopt hold some out.")


def sample_weights(weights: Any, y: Any, split: str) -> Arrays:
    """Return weights as float32, one array a target where there are several.

    Raises:
        DataError: they are not one number a sample, or in another structure than the targets.
    """
    name = f"sample_weight of the {split} split"
    several = isinstance(y, Mapping | tuple | list)
    if several and not isinstance(weights, Mapping | tuple | list):
        weights = map_leaves(lambda _: weights, y)
    if [key for key, _ in leaves(weights)] != [key for key, _ in leaves(y)]:
        raise DataError(f"The {name} must be one array, or one a target in the structure of the targets.")
    samples = count(y)

    def checked(array: Any) -> np.ndarray:
        found = as_float(array, f"The {name}")
        if found.shape not in ((samples,), (samples, 1)):
            raise DataError(
                f"The {name} must be one number a sample, of shape ({samples},), got {found.shape}."
            )
        if found.size and found.min() < 0:
            raise DataError(f"The {name} must not be negative, got {found.min():g}.")
        return found.reshape(samples)

    return map_leaves(checked, weights)


def class_weights(weights: Any, labels: Any, num_classes: int | None) -> dict[int, float]:
    """Return class -> weight.

    Raises:
        DataError: the targets are not classes, a class does not exist, or a weight is no number.
    """
    if num_classes is None or not isinstance(labels, np.ndarray):
        raise DataError("class_weight needs targets that are classes: give sample_weight for others.")
    if weights == "balanced":
        found = np.bincount(labels, minlength=num_classes)
        return {int(c): len(labels) / (num_classes * int(found[c])) for c in np.flatnonzero(found)}
    if not isinstance(weights, Mapping):
        raise DataError(f'class_weight must be a dict, class -> weight, or "balanced", got {weights!r}.')
    for label, weight in weights.items():
        if label not in range(num_classes) or not _validation.is_number(weight) or weight < 0:
            raise DataError(
                f"class_weight must hold finite numbers for the classes 0 to {num_classes - 1}, got "
                f"{label!r}: {weight!r}."
            )
    return {int(label): float(weight) for label, weight in weights.items()}
