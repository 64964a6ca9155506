"""Representative data: the samples by which post-training quantization finds what passes through a model."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from tfopt.data.sample_formats import Samples, batches_of, is_array
from tfopt.data.sets import as_samples
from tfopt.data.structure import fits, in_order, is_batches
from tfopt.errors import DataError, InvalidArgumentError

Representative: TypeAlias = Samples
"""What `to_tflite` calibrates with: all that `tfopt.quantization.calibrate` takes."""

WHAT = "representative_dataset"
MAX_SAMPLES = 500
"""Of arrays that hold more, so many are taken, spread evenly, and of batches the first ones; ranges hardly
change after that."""
FEW_SAMPLES = 10
"""With fewer, ranges depend on which samples they are."""


def calibration_arrays(
    data: Any, names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], dtypes: tuple[str, ...]
) -> list[np.ndarray]:
    """Return one array an input, of shape (batches, batch_size, ...), samples in their order.

    Args:
        data: see `Representative`.
        names: of the model's inputs.
        shapes: of the inputs, with the batch size in front.
        dtypes: of the inputs.

    Raises:
        InvalidArgumentError: `data` is of another kind, or does not fit the inputs.
        DataError: it is empty, or holds NaN or infinity.
    """
    batches = []
    for array, shape in zip(sample_arrays(data, names, shapes, dtypes), shapes, strict=True):
        # A last batch that is not full repeats samples from the start, which moves no range.
        needed = -(-len(array) // shape[0]) * shape[0]
        full = np.take(array, np.arange(needed) % len(array), axis=0)
        batches.append(full.reshape(-1, *shape))
    return batches


def sample_arrays(
    data: Any, names: tuple[str, ...], shapes: tuple[tuple[int | None, ...], ...], dtypes: tuple[str, ...]
) -> list[np.ndarray]:
    """Return one array an input, of shape (samples, ...), at most `MAX_SAMPLES` of them.

    Args and raises: as `calibration_arrays`; what a shape has in front is not looked at.
    """
    arrays = []
    for name, array, shape, dtype in zip(names, _samples(data, names), shapes, dtypes, strict=True):
        if not fits(array.shape, (None, *shape[1:])):
            raise InvalidArgumentError(
                f"The representative data for the input {name!r} has samples of shape {array.shape[1:]}, the "
                f"model takes {shape[1:]}. Give data like that of the training, preprocessed alike."
            )
        if not np.all(np.isfinite(array)):
            raise DataError(
                f"The representative data for the input {name!r} holds NaN or infinity, which would make "
                "every range infinite. Remove these samples."
            )
        arrays.append(array.astype(dtype))
    if len(arrays[0]) < FEW_SAMPLES:
        warnings.warn(
            f"Only {len(arrays[0])} calibration sample{'s' if len(arrays[0]) > 1 else ''}: larger values "
            "will be clipped. Give 100 or more.",
            stacklevel=_level_of_caller(),
        )
    return arrays


def _level_of_caller() -> int:
    """Return the `stacklevel` of the code outside tfopt that gave the data, however deep it is used."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").split(".")[0] == "tfopt":
        frame, level = frame.f_back, level + 1
    return level


def _samples(data: Any, names: tuple[str, ...]) -> list[np.ndarray]:
    batches = batches_of(data, len(names), WHAT, MAX_SAMPLES)
    if is_array(data) or (isinstance(data, list | tuple | Mapping) and not is_batches(data)):
        return _some(in_order(next(batches), names, WHAT))
    return _gathered(batches, names)


def _some(arrays: list[np.ndarray]) -> list[np.ndarray]:
    counts = sorted({len(array) if array.ndim else 0 for array in arrays})
    if counts[0] == 0:
        raise DataError("The representative data is empty. Give 100 samples or more of the training data.")
    if len(counts) > 1:
        rows = [len(array) for array in arrays]
        raise InvalidArgumentError(
            f"The arrays of {WHAT} differ in length: {counts}. {as_samples([x.shape for x in arrays], rows)}"
        )
    chosen = np.linspace(0, counts[0] - 1, min(MAX_SAMPLES, counts[0])).astype(int)
    return [array[chosen] for array in arrays]


def _gathered(samples: Iterable[Any], names: tuple[str, ...]) -> list[np.ndarray]:
    columns: list[list[np.ndarray]] = [[] for _ in names]
    for sample in samples:
        for column, array in zip(columns, in_order(sample, names, "A representative sample"), strict=True):
            column.append(array)
        if sum(map(len, columns[0])) >= MAX_SAMPLES and not any(array.ndim == 0 for array in columns[0]):
            break
    if not columns[0]:
        raise DataError(
            "The representative data is empty: the function returned no sample. Give 100 or more, and let "
            "the function make a new iterator at each call."
        )
    try:
        return [np.concatenate(column)[:MAX_SAMPLES] for column in columns]
    except ValueError as error:
        raise InvalidArgumentError(
            f"The samples of {WHAT} differ in shape, or have no batch dimension: {error}."
        ) from error
