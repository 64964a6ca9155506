"""The data that a model is calibrated with, in whatever form it comes, as batches that the model takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import keras
import numpy as np

from tfopt.data.sample_formats import FORMS, Samples, batches_of, never_ends
from tfopt.data.sets import as_samples, fixed_batch
from tfopt.data.structure import fits
from tfopt.errors import DataError, InvalidArgumentError

CalibrationData: TypeAlias = Samples
"""See `calibrate`."""

SAMPLES = 512
"""Of a `tfopt.data.Dataset` so many training samples are taken, spread evenly."""


_WHAT = "Calibration data"


def calibration_batches(model: keras.Model, data: Any, batch_size: int) -> Iterator[Any]:
    """Yield what `model` is called with, `batch_size` samples at a time, the last time what is left.

    Args:
        model: built, functional.
        data: see `calibrate`.
        batch_size: 1 or more; a model of a fixed batch size takes that. Batches that come in other sizes
            are put together or divided.

    Raises:
        InvalidArgumentError: data of another kind, or that does not fit the model's inputs.
        DataError: no samples, or values that are not finite.
    """
    fixed = fixed_batch([tensor.shape for tensor in model.inputs])
    batch_size = fixed or batch_size
    waiting: list[list[np.ndarray]] = []
    count = total = 0
    if never_ends(data):
        raise InvalidArgumentError(
            "The calibration dataset never ends: give a part of it, such as dataset.take(20)."
        )
    for batch in batches_of(data, len(model.inputs), _WHAT, SAMPLES):
        arrays = _fitting(model, batch)
        waiting.append(arrays)
        count += len(arrays[0])
        total += len(arrays[0])
        if count >= batch_size:
            joined = [np.concatenate(parts) for parts in zip(*waiting, strict=True)]
            full = count - count % batch_size
            for start in range(0, full, batch_size):
                yield _packed(model, [array[start : start + batch_size] for array in joined])
            waiting = [[array[full:] for array in joined]]
            count -= full
    if count and not (fixed and total > count):  # a model of a fixed batch cannot take the rest
        yield _packed(model, [np.concatenate(parts) for parts in zip(*waiting, strict=True)])
    if not total:
        raise DataError(
            "Calibration needs at least one sample, got none. Give a few hundred of the training data, and "
            "let a function make a new iterator at each call."
        )


def _fitting(model: keras.Model, batch: Any) -> list[np.ndarray]:
    """Return a batch as one array an input, in the model's order and its dtypes."""
    names = (
        sorted(model.input) if isinstance(model.input, Mapping) else [tensor.name for tensor in model.inputs]
    )
    found = []
    for name, tensor, value in zip(names, model.inputs, _in_order(batch, names), strict=True):
        array = _as_array(value, name)
        if not fits(array.shape, (None, *tensor.shape[1:])):
            raise InvalidArgumentError(
                f"The calibration data for the input {name!r} has the shape {array.shape}, the model takes "
                f"(samples, {', '.join(map(str, tensor.shape[1:]))}). Give data like that of the training."
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise DataError(
                f"The calibration data for the input {name!r} holds NaN or infinite values: clean it, or "
                "ranges have no end."
            )
        found.append(array.astype(keras.backend.standardize_dtype(tensor.dtype)))
    if len({len(array) for array in found}) > 1:
        raise InvalidArgumentError(
            "The calibration data has different numbers of samples for its inputs: "
            + ", ".join(f"{name!r}: {len(array)}" for name, array in zip(names, found, strict=True))
            + ". "
            + as_samples([tensor.shape for tensor in model.inputs], [len(array) for array in found])
        )
    return found


def _in_order(batch: Any, names: list[str]) -> list[Any]:
    if isinstance(batch, Mapping):
        if set(batch) != set(names):
            raise InvalidArgumentError(
                f"The calibration data has arrays for {', '.join(map(repr, batch)) or 'nothing'}, the model "
                f"has the inputs {', '.join(map(repr, names))}."
            )
        return [batch[name] for name in names]
    values = list(batch) if isinstance(batch, list | tuple) else [batch]
    if len(values) != len(names):
        raise InvalidArgumentError(
            f"The calibration data has {len(values)} arrays, the model has {len(names)} inputs "
            f"({', '.join(map(repr, names))}). Give one array for each, in this order or as a dict; batches "
            "of one input come from a generator or a tf.data.Dataset."
        )
    return values


def _as_array(value: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "fiubV":
        raise InvalidArgumentError(
            f"The calibration data for the input {name!r} must be an array of numbers, got "
            f"{type(value).__name__} of dtype {array.dtype}. {_WHAT} must be {FORMS}."
        )
    return array.astype(np.float32) if array.dtype.kind == "V" else array  # bfloat16 and its like


def _packed(model: keras.Model, arrays: list[np.ndarray]) -> Any:
    return keras.tree.pack_sequence_as(model.input, arrays)
