"""Class labels in three formats: integers, text, one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfopt.errors import DataError


def is_text(labels: Any) -> bool:
    """Return whether labels are text: an array of strings or bytes, or of objects that all are strings."""
    labels = np.asarray(labels)
    if labels.dtype.kind == "O":
        return labels.size > 0 and all(isinstance(label, str) for label in labels.flat)
    return labels.dtype.kind in "USTa"


def text_names(labels: Any) -> list[str]:
    """Return the different labels of text, sorted: the names of the classes."""
    return sorted(set(_words(labels)))


def from_text(labels: Any, class_names: Sequence[str], name: str) -> np.ndarray:
    """Return the place in `class_names` of each label.

    Raises:
        DataError: they are not one word a sample, or one is no name of a class.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise DataError(f"{name} must hold one label a sample, got text of shape {labels.shape}.")
    places = {word: place for place, word in enumerate(class_names)}
    words = _words(labels)
    unknown = sorted(set(words) - set(places))
    if unknown:
        raise DataError(
            f"{name} holds the label {unknown[0]!r}; the classes are {', '.join(map(repr, places))}. Correct "
            "the labels, or pass class_names with all of them."
        )
    return np.array([places[word] for word in words], np.int32)


def is_one_hot(labels: Any) -> bool:
    """Return whether labels are rows of zeros with a single one, of two classes or more."""
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "fiub":
        return False
    return bool(np.all((labels == 0) | (labels == 1)) and np.all(labels.sum(axis=1) == 1))


def _words(labels: Any) -> list[str]:
    return [
        word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)
        for word in np.asarray(labels).flat
    ]
