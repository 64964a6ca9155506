"""Targets are classes or numbers, as those of training decide for all splits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from tfopt.data import checks, labels
from tfopt.data.structure import Arrays, named_map
from tfopt.errors import DataError


class Targets:
    """Reads the targets of each split alike.

    Args:
        y_train: the targets of training.
        num_classes: the number of classes; `"infer"` takes it from the labels, None means that the targets
            are not classes, as several targets never are.
        class_names: one name a class; by default, of labels that are text, these in alphabetical order.

    Attributes:
        num_classes: None where targets are not classes, and until `read` has counted them.
        class_names: None where there are none.
    """

    def __init__(
        self, y_train: Any, num_classes: int | Literal["infer"] | None, class_names: Sequence[str] | None
    ) -> None:
        if num_classes == "infer" and isinstance(y_train, tuple | dict):
            num_classes = None
        self._are_classes = num_classes is not None
        self._are_text = self._are_classes and labels.is_text(y_train)
        self.num_classes: int | None = None if num_classes == "infer" else num_classes
        if self._are_text and class_names is None:
            class_names = labels.text_names(y_train)
        elif num_classes == "infer" and labels.is_one_hot(y_train):
            self.num_classes = np.shape(y_train)[1]
        self.class_names = None if class_names is None else tuple(class_names)

    def read(self, y: Any, name: str) -> Arrays:
        """Return targets as float32, or class labels as int32; where it is unknown, count the classes first.

        Args:
            y: the targets of a split, those of training first.
            name: what an error calls them.

        Raises:
            DataError: they hold no numbers, or labels that are no class.
        """
        if not self._are_classes:
            return named_map(checks.as_float, y, name)
        names = self.class_names or ()
        if self._are_text:
            read = labels.from_text(y, names, name)
            known = len(names)
        else:
            read = checks.integer_labels(y, name)
            known = max(len(names), int(read.max()) + 1)
        self.num_classes = self.num_classes or known
        checks.check_range(read, self.num_classes, name)
        return read

    def require_names_fit(self) -> None:
        """Raise `DataError` unless there are as many names as classes, where there are names."""
        if self.class_names is not None and len(self.class_names) != self.num_classes:
            raise DataError(f"There are {len(self.class_names)} class names for {self.num_classes} classes.")
