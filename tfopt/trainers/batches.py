"""The data of a full-batch objective, as a few batches that are gone through at every evaluation."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree

from tfopt import _validation
from tfopt.data import Dataset
from tfopt.errors import DataError, InvalidArgumentError

PARTS = ("x", "y", "sample_weight")

_KINDS = (
    "None, x, (x, y), (x, y, sample_weight), a finite tf.data.Dataset of such batches, or a "
    "tfopt.data.Dataset"
)


@dataclasses.dataclass(frozen=True)
class Batches:
    """All samples, in one batch or in several.

    Attributes:
        signature: the `tf.TypeSpec`s of one batch, which is a tuple of the parts that are there: (), (x,),
            (x, y) or (x, y, sample_weight).
        single: whether one batch holds all samples.
        iterate: starts one pass over the batches.
    """

    signature: tuple[Any, ...]
    single: bool
    iterate: Callable[[], Iterable[Any]]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.iterate())

    def sample(self) -> tuple[Any, ...]:
        """Return the first sample, as a batch of one."""
        return tree.map_structure(lambda a: a[:1], next(iter(self)))


def batches(data: Any, batch_size: int | None, dtype: str, *, aligned: bool) -> Batches:
    """Return the data in batches.

    Args:
        data: what `minimize` takes.
        batch_size: the most samples in one batch, or None for all in one; must be None with a
            `tf.data.Dataset`, whose batches are taken as they come.
        dtype: floating-point arrays are cast to it.
        aligned: whether all arrays must hold equally many samples also in one batch.

    Raises:
        InvalidArgumentError: `batch_size` is no positive integer, or is given where the data has batches.
        DataError: the data is empty, endless, not numeric, of unequal lengths, or of another kind.
    """
    if batch_size is not None and not (_validation.is_whole(batch_size) and batch_size > 0):
        raise InvalidArgumentError(
            f"Expected batch_size to be a positive integer or None, got {batch_size!r}."
        )
    if data is None:
        return Batches((), True, lambda: [()])
    if isinstance(data, tf.data.Dataset):
        return _from_pipeline(data, batch_size)
    if isinstance(data, Dataset):
        data = (data.x_train, data.y_train)
    return _from_arrays(data, batch_size, dtype, aligned)


def count(batch: tuple[Any, ...]) -> Any:
    """Return the number of samples of a batch, an integer or in a graph an integer tensor."""
    first = tree.flatten(batch)[0]
    return tf.shape(first)[0] if tf.is_tensor(first) else len(first)


def _parts(data: Any) -> tuple[Any, ...]:
    """Return the data as (x,), (x, y) or (x, y, sample_weight)."""
    parts = tuple(data) if isinstance(data, tuple | list) else (data,)
    while parts and parts[-1] is None:
        parts = parts[:-1]
    if not 1 <= len(parts) <= len(PARTS) or any(part is None for part in parts):
        raise DataError(f"Expected data to be {_KINDS}; got a tuple of {len(parts)} parts.")
    return parts


def _from_pipeline(data: tf.data.Dataset, batch_size: int | None) -> Batches:
    if batch_size is not None:
        raise InvalidArgumentError(
            "A tf.data.Dataset is evaluated in its own batches: leave batch_size out, and use "
            f"dataset.batch({batch_size}) instead."
        )
    length = int(data.cardinality())
    if length == tf.data.INFINITE_CARDINALITY:
        raise DataError("The tf.data.Dataset never ends: remove repeat(), every evaluation takes all of it.")
    if next(iter(data), None) is None:
        raise DataError("The tf.data.Dataset is empty; expected at least one batch.")
    return Batches(_parts(data.element_spec), length == 1, lambda: map(_parts, data))


def _from_arrays(data: Any, batch_size: int | None, dtype: str, aligned: bool) -> Batches:
    parts = _parts(data)
    parts = tuple(
        tree.map_structure(lambda leaf, name=name: _array(leaf, name, dtype), part)
        for name, part in zip(PARTS, parts, strict=False)
    )
    leaves = tree.flatten(parts)
    lengths = sorted({len(leaf) for leaf in leaves})
    if not leaves or lengths[0] == 0:
        raise DataError("The data is empty; expected at least one sample.")
    if len(lengths) > 1 and (aligned or batch_size is not None):
        raise DataError(
            f"Expected as many samples in each array, got {' and '.join(map(str, lengths))}. Only a "
            "loss(model, x) without batch_size takes sets of points of different sizes."
        )
    if batch_size is None or batch_size >= lengths[0]:
        whole = tree.map_structure(tf.convert_to_tensor, parts)
        return Batches(tree.map_structure(tf.TensorSpec.from_tensor, whole), True, lambda: [whole])
    signature = tree.map_structure(lambda a: tf.TensorSpec((None, *a.shape[1:]), a.dtype), parts)
    starts = range(0, lengths[0], batch_size)
    # Slices of host memory: the device holds one batch at a time.
    return Batches(
        signature,
        False,
        lambda: (
            tree.map_structure(lambda a, s=start: tf.convert_to_tensor(a[s : s + batch_size]), parts)
            for start in starts
        ),
    )


def _array(leaf: Any, name: str, dtype: str) -> np.ndarray:
    array = np.asarray(leaf)
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        raise DataError(
            f"Expected data to be {_KINDS}; {name} is of type {type(leaf).__name__}, which is not an array "
            "of numbers with samples first."
        )
    return array.astype(dtype, copy=False) if keras.backend.is_float_dtype(str(array.dtype)) else array
