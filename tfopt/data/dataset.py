"""The value that holds the data of a run."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tfopt.data import fitting
from tfopt.data.samples import is_streamed
from tfopt.data.scale import BY_MODEL, BYTES, text_of
from tfopt.data.streaming.stored import Stored, mapped
from tfopt.data.structure import Arrays, count, leaves, map_leaves
from tfopt.errors import InvalidArgumentError

if TYPE_CHECKING:
    import tensorflow as tf

SPLITS = {"train": "train", "validation": "val", "test": "test"}
"""The name of a split -> what its arrays are called."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Train, validation and test arrays with what is known about them, from `load`, `from_arrays` and others.

    The arrays are read-only. Where they are large, `x` and targets that are no classes may be arrays whose
    samples are read when they are indexed (`tfopt.data.streaming.stored.Stored`). With
    several inputs (outputs), `x` (`y`) is a tuple of arrays in the order of the model's inputs (outputs), or
    a dict by their names.

    Attributes:
        name: such as `"digits"`.
        x_train, x_val, x_test: inputs, float32, scaled, samples first.
        y_train, y_val, y_test: class labels from 0, int32, shape (samples,), or one-hot rows in what
            `one_hot` returns; else targets, float32.
        num_classes: the number of classes; `None` where the targets are not classes.
        scale: what was done to the inputs: a `tfopt.data.scale.Scale`, or one an input in the structure of
            `x`.
        class_names: one name a class, or `None`.
        sample_weight_train, sample_weight_val, sample_weight_test: how much each sample counts in training,
            validation and evaluation, float32, shape (samples,), or one such array a target in the structure
            of `y`; `None` where all count alike.
        class_weight: how much the samples of a class count in training, where it is not 1; `None` for alike.
    """

    name: str
    x_train: Arrays
    y_train: Arrays
    x_val: Arrays
    y_val: Arrays
    x_test: Arrays
    y_test: Arrays
    num_classes: int | None
    scale: Any
    class_names: tuple[str, ...] | None = None
    sample_weight_train: Arrays | None = None
    sample_weight_val: Arrays | None = None
    sample_weight_test: Arrays | None = None
    class_weight: dict[int, float] | None = None

    @property
    def input_shape(self) -> Any:
        """The shape of one sample; with several inputs a tuple or dict of shapes."""
        return map_leaves(lambda array: array.shape[1:], self.x_train)

    @property
    def normalization(self) -> str:
        """What was done to the inputs, in words, such as `"x / 255"`."""
        return text_of(self.scale)

    def unscaled(self) -> Dataset:
        """Return the data with images as they came, 0 to 255, where they were divided by 255 by default."""
        if not any(scale.default for _, scale in leaves(self.scale)):
            return self
        chosen = dict(leaves(self.scale))

        def as_they_came(x: Arrays) -> Arrays:
            names = iter(x) if isinstance(x, dict) else iter(chosen)
            return map_leaves(
                lambda array: mapped(_bytes, array) if chosen[str(next(names))].default else array, x
            )

        arrays: dict[str, Any] = {
            f"x_{part}": as_they_came(getattr(self, f"x_{part}")) for part in SPLITS.values()
        }
        scale = map_leaves(lambda each: BY_MODEL if each.default else each, self.scale)
        return dataclasses.replace(self, **arrays, scale=scale)

    def one_hot(self) -> Dataset:
        """Return the data with labels as one-hot rows, float32, shape (samples, num_classes)."""
        if self.num_classes is None or not isinstance(self.y_train, np.ndarray) or self.y_train.ndim != 1:
            return self
        eye = np.eye(self.num_classes, dtype=np.float32)
        rows: dict[str, Any] = {f"y_{part}": eye[getattr(self, f"y_{part}")] for part in SPLITS.values()}
        return dataclasses.replace(self, **rows)

    def labels(self, split: str) -> np.ndarray | None:
        """Return the class of each sample of a split as integers; `None` where targets are no classes."""
        _, y = self.split(split)
        if self.num_classes is None or not isinstance(y, np.ndarray):
            return None
        return y if y.ndim == 1 else y.argmax(axis=-1)

    def split(self, name: str) -> tuple[Arrays, Arrays]:
        """Return (x, y) of `"train"`, `"validation"` or `"test"`."""
        if name not in SPLITS:
            raise InvalidArgumentError(f"Unknown split {name!r}; choose from {', '.join(SPLITS)}.")
        return getattr(self, f"x_{SPLITS[name]}"), getattr(self, f"y_{SPLITS[name]}")

    def evaluated(self, name: str) -> tuple[Arrays, ...]:
        """Return what `evaluate` takes of a split: (x, y), or with sample_weight where there are weights.

        As in Keras, classes have weights in training alone.
        """
        weights = getattr(self, f"sample_weight_{SPLITS[name]}") if name in SPLITS else None
        return self.split(name) if weights is None else (*self.split(name), weights)

    def evaluated_batches(self, name: str, batch_size: int) -> tf.data.Dataset | None:
        """Return `evaluated` in batches where samples are not in memory; `None` where all are."""
        from tfopt.data.batches import batches_in_order

        parts = self.evaluated(name)
        return batches_in_order(parts, batch_size) if is_streamed(*parts) else None

    def training_batches(
        self, batch_size: int, *, seed: int, first_epoch: int = 0, epochs: int = 1, first_step: int = 0
    ) -> tf.data.Dataset:
        """Return the training batches of the epochs `first_epoch` to `epochs - 1`, one after another.

        The first `first_step` batches of the first of them are left out. An epoch's order is derived from
        (seed, epoch) alone. Use with `fit(..., steps_per_epoch=data.steps_per_epoch(batch_size))`; the last
        batch of an epoch may be smaller. Where samples or classes have weights, a batch is
        (x, y, sample_weight).
        """
        from tfopt.data.batches import training_batches

        parts = self.evaluated("train")
        if self.class_weight is not None:
            weights = np.ones(len(self.y_train), np.float32)
            for label, weight in self.class_weight.items():
                weights[self.labels("train") == label] = weight
            parts = (*parts, weights)
        return training_batches(
            parts, batch_size, seed=seed, first_epoch=first_epoch, epochs=epochs, first_step=first_step
        )

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the number of batches of one epoch."""
        return -(-count(self.x_train) // batch_size)

    def representative_dataset(self, samples: int = 200) -> Callable[[], Iterator[list[np.ndarray]]]:
        """Return what `tf.lite.TFLiteConverter` calibrates with: training samples one by one.

        Args:
            samples: how many, spread evenly over the training split.
        """
        total = count(self.x_train)
        chosen = np.linspace(0, total - 1, min(samples, total)).astype(int)
        arrays = [array for _, array in leaves(self.x_train)]

        def generate() -> Iterator[list[np.ndarray]]:
            for index in chosen:
                yield [array[index : index + 1] for array in arrays]

        return generate

    def require(
        self,
        *,
        input_shape: Any = None,
        target_shape: Any = None,
        classes: bool | int | None = None,
        labels_below: int | dict[str, int] | None = None,
        why: str = "",
    ) -> Dataset:
        """Return the data if it is what a recipe was written for.

        Args:
            input_shape: of one sample, with `None` for any size, such as `(None, None, 3)`; of several inputs
                a dict by name. `None` for any shape.
            target_shape: the same of the targets.
            classes: `True` for labels of classes, a number for so many classes, `False` for targets that are
                numbers; `None` for both.
            labels_below: targets that are no `classes`, such as the mask of an image, must be whole numbers
                from 0 to below this; of several targets a dict by name.
            why: a sentence that is added to the error: what the user can do.

        Raises:
            DataError: the data is something else. One sentence says what was found and what was expected.
        """
        fitting.require(
            self,
            input_shape=input_shape,
            target_shape=target_shape,
            classes=classes,
            labels_below=labels_below,
            why=why,
        )
        return self

    def fingerprint(self) -> str:
        """Return the SHA-256 over all arrays, as 64 hex digits."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name in SPLITS:
            for part, arrays in zip("xyw", self.evaluated(name), strict=False):
                for key, array in leaves(arrays):
                    if isinstance(array, Stored):
                        digest.update(f"{name} {part} {key} {array.digest()}".encode())
                        continue
                    digest.update(f"{name} {part} {key} {array.dtype} {array.shape}".encode())
                    digest.update(np.ascontiguousarray(array).data)
        if self.class_weight is not None:
            digest.update(repr(sorted(self.class_weight.items())).encode())
        return digest.hexdigest()

    @property
    def place(self) -> str | None:
        """Where samples are read from while they are needed, in words; `None` where all are in memory."""
        found = [
            array.place
            for name in SPLITS
            for part in self.split(name)
            for _, array in leaves(part)
            if isinstance(array, Stored)
        ]
        return ", ".join(dict.fromkeys(found)) or None

    def describe(self) -> dict[str, Any]:
        """Return what `run.json` says about the data."""
        return {
            "name": self.name,
            "input_shape": map_leaves(lambda array: list(array.shape[1:]), self.x_train),
            "num_classes": self.num_classes,
            **{name: count(self.split(name)[0]) for name in SPLITS},
            "normalization": self.normalization,
            **({} if self.class_names is None else {"class_names": list(self.class_names)}),
            **({} if self.class_weight is None else {"class_weight": self.class_weight}),
            **({} if self.sample_weight_train is None else {"sample_weight": True}),
            **({} if self.place is None else {"place": self.place}),
            "fingerprint": self.fingerprint(),
        }

    def __repr__(self) -> str:
        counts = ", ".join(f"{count(self.split(name)[0])} {name}" for name in SPLITS)
        return f"Dataset({self.name!r}, {self.input_shape}, {counts}, num_classes={self.num_classes})"


def _bytes(scaled: np.ndarray) -> np.ndarray:
    return np.round(scaled * BYTES)
