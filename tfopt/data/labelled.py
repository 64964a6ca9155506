"""Inputs and labels that a model is measured on, in each of the forms in which people have them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tfopt.data.dataset import Dataset
from tfopt.data.sample_formats import inputs_alone
from tfopt.data.samples import is_streamed
from tfopt.data.streaming.elements import batches_of_source, is_source
from tfopt.data.structure import count, fits, in_order, is_batches, map_leaves, nested_map, unlisted
from tfopt.errors import DataError

MOST = 512
"""Of what comes batch by batch, the first so many samples are taken."""


def labelled(data: Any, what: str, *, split: str = "train", inputs: int = 1) -> tuple[Any, Any]:
    """Return inputs and labels as arrays, samples first; None for labels where there are none.

    Args:
        data: `(x, y)` or inputs alone, as arrays, tensors or lists, with a tuple, list or dict of arrays for
            several inputs; a `tfopt.data.Dataset`; a `tf.data.Dataset` of batches or samples, a
            `keras.utils.PyDataset`, a generator of batches or a function that returns one, of which the first
            512 samples are read. Sample weights, a third element, are not looked at.
        what: how an error calls it, such as `"prune_channels: data"`.
        split: of a `tfopt.data.Dataset`.
        inputs: how many the model has: a tuple of an array for each of several is inputs alone.

    Raises:
        InvalidArgumentError: data of another kind.
        DataError: it is empty, or its batches are none.
    """
    if isinstance(data, Dataset):
        return data.split(split)
    if is_source(data) or is_batches(data):
        return _first(data, what)
    if isinstance(data, tuple) and len(data) in (2, 3):
        x = inputs_alone(data, inputs)
        return unlisted(x, None if x is data else data[1])
    return unlisted(data, None)


def inputs_by_batch(data: Any, what: str) -> Iterator[Any]:
    """Yield the inputs of each batch of what `comes_in_batches`.

    Raises:
        InvalidArgumentError: it never ends.
        DataError: its batches are none.
    """
    for inputs, *_ in batches_of_source(_source(data), what, targets=False):
        yield inputs


def require_fitting(
    what: str, x: Any, inputs: Mapping[str, Any], y: Any = None, loss: Any = None, outputs: Sequence[Any] = ()
) -> None:
    """Raise unless samples have the shapes that a model takes, and class numbers are of its classes.

    Args:
        what: how an error calls the samples.
        x, y: inputs and labels; None for labels where there are none.
        inputs: name -> each of the model's, symbolic, in its order.
        loss: that compares labels with outputs, as `compile` takes it.
        outputs: of the model, symbolic.

    Raises:
        InvalidArgumentError: the number or names of the inputs do not fit.
        DataError: their shapes do not, or a class number is none of the model's.
    """
    without_samples = map_leaves(lambda array: np.empty((0, *np.shape(array)[1:]), bool), x)
    arrays = in_order(without_samples, [*inputs], what)  # what is on disk stays there
    for (name, tensor), array in zip(inputs.items(), arrays, strict=True):
        if not fits(array.shape[1:], tensor.shape[1:]):
            raise DataError(
                f"{what} has samples of the shape {array.shape[1:]} for the input {name!r}, and the model "
                f"takes {tuple(tensor.shape[1:])}: give samples as in its training, all in one array."
            )
    if y is None or is_streamed(y) or len(outputs) != 1 or not _compares_classes(loss):
        return
    labels, classes = np.asarray(y), outputs[0].shape[-1]
    if classes and labels.size and not 0 <= labels.min() <= labels.max() < classes:
        raise DataError(
            f"{what} has labels from {labels.min()} to {labels.max()}, and the model has {classes} outputs, "
            f"for the classes 0 to {classes - 1}: give class numbers from 0, as in its training."
        )


def _compares_classes(loss: Any) -> bool:
    """Return whether a loss compares class numbers, one a sample, with outputs of one number a class."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    return str(name).startswith("sparse_categorical")


def _source(data: Any) -> Any:
    """Return what `batches_of_source` reads: for a list of batches or a generator, a function."""
    return (lambda: data) if isinstance(data, Iterator | list) else data


def _first(data: Any, what: str) -> tuple[Any, Any]:
    """Return the first samples of what comes batch by batch."""
    batches: list[tuple[Any, ...]] = []
    found = 0
    for batch in batches_of_source(_source(data), what, steps=MOST, targets=False):
        batches.append(batch[:2])
        found += count(batch[0])
        if found >= MOST:
            break
    if not batches:
        raise DataError(f"{what} has no samples: give some, and of a generator that was read make a new one.")
    parts = [nested_map(_together, *part) for part in zip(*batches, strict=True)]
    return parts[0], parts[1] if len(parts) > 1 else None


def _together(*arrays: np.ndarray) -> np.ndarray:
    return np.concatenate(arrays)[:MOST]
