"""The formats of samples for calibration, all read batch by batch, without labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf

from tfopt.data.dataset import Dataset
from tfopt.data.streaming.elements import batched
from tfopt.data.structure import count as count_of
from tfopt.data.structure import is_batches, map_leaves, unlisted
from tfopt.errors import DataError, InvalidArgumentError, TfoptError

Samples: TypeAlias = (
    "np.ndarray | tf.Tensor | list | tuple | Mapping[str, Any] | Dataset | tf.data.Dataset | Iterable[Any] "
    "| Callable[[], Iterable[Any]]"
)
"""An array, or a list, tuple or dict of arrays for several inputs; a `tfopt.data.Dataset`; a
`tf.data.Dataset`, `keras.utils.PyDataset` or generator of batches; a function that returns one of these."""

FORMS = (
    "an array of samples, a list, tuple or dict of arrays for several inputs, a tfopt.data.Dataset, a "
    "tf.data.Dataset, a keras.utils.PyDataset, a generator of batches, or a function that returns one"
)


def batches_of(data: Any, inputs: int, what: str, samples: int) -> Iterator[Any]:
    """Yield the data batch by batch, each one what a model takes in one of its forms.

    A tuple of two or three, which may be a batch or all of the data, is `(inputs, labels)` or `(inputs,
    labels, weights)`, as `fit` has it, but for one with an array for each of several inputs. A list has one
    array an input, or is one array as lists of numbers.

    Args:
        data: see `Samples`.
        inputs: how many the model has.
        what: how an error message calls the data.
        samples: how many training samples of a `tfopt.data.Dataset` are taken, spread evenly.

    Raises:
        InvalidArgumentError: data of another kind.
    """
    if isinstance(data, Dataset):
        total = count_of(data.x_train)
        chosen = np.linspace(0, total - 1, min(samples, total)).astype(int)
        yield map_leaves(lambda array: array[chosen], data.x_train)
    elif is_array(data) or (isinstance(data, list | tuple | Mapping) and not is_batches(data)):
        whole = inputs_alone(data, inputs) if isinstance(data, tuple) and len(data) in (2, 3) else data
        yield unlisted(whole, None)[0]
    else:
        for batch in _drawn(data, what):
            yield inputs_alone(batch, inputs)


def _drawn(data: Any, what: str) -> Iterator[Any]:
    """Yield the batches of what is not an array; name the data where code of the user's fails."""
    try:
        yield from _stream(data() if _is_function(data) else data, what)
    except TfoptError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{what} raised {type(error).__name__} while it gave its samples: {reason}. Expected {FORMS}."
        ) from error


def repeatable(data: Any, samples: int) -> Any:
    """Return the data in a form that can be read more than once: of a generator, its first samples."""
    if not isinstance(data, Iterator):
        return data
    batches: list[Any] = []
    found = 0
    for batch in data:
        batches.append(batch)
        first = batch
        while isinstance(first, list | tuple | Mapping) and first:
            first = next(iter(first.values())) if isinstance(first, Mapping) else first[0]
        found += len(first) if np.ndim(first) else 1
        if found >= samples:
            break
    return lambda: iter(batches)


def never_ends(data: Any) -> bool:
    """Return whether the data is a `tf.data.Dataset` that repeats itself for ever."""
    cardinality = getattr(data, "cardinality", None)
    return cardinality is not None and int(cardinality()) == -1


def is_array(value: Any) -> bool:
    """Return whether a value is an array or tensor."""
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_function(data: Any) -> bool:
    return callable(data) and not hasattr(data, "__getitem__") and not isinstance(data, Iterable)


def _stream(data: Any, what: str) -> Iterable[Any]:
    # A keras.utils.PyDataset ends where its length says; iterating by index would not.
    if (
        hasattr(data, "__getitem__")
        and hasattr(data, "__len__")
        and not isinstance(data, list | str | Mapping)
    ):
        return (data[index] for index in range(len(data)))
    if isinstance(data, tf.data.Dataset):
        return batched(data)
    if isinstance(data, Iterable) and not isinstance(data, str | bytes | Mapping):
        return data
    raise InvalidArgumentError(f"{what} must be {FORMS}; got {type(data).__name__}.")


def inputs_alone(batch: Any, inputs: int) -> Any:
    """Return the inputs of a batch, or of data like one: all of it with an array for each of several."""
    if not isinstance(batch, tuple):
        return batch
    nested = any(isinstance(part, list | tuple | Mapping) for part in batch)
    return batch if inputs > 1 and len(batch) == inputs and not nested else batch[0]
