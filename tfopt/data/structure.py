"""Arrays alone, in a tuple, or in a dict: what Keras takes for one or several inputs or outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tfopt.errors import DataError, InvalidArgumentError

Arrays: TypeAlias = np.ndarray | tuple[np.ndarray, ...] | dict[str, np.ndarray]


def leaves(arrays: Any) -> list[tuple[str, Any]]:
    """Return (name, array) pairs: names are dict keys in sorted order, tuple positions, or ""."""
    if isinstance(arrays, Mapping):
        return [(str(key), arrays[key]) for key in sorted(arrays)]
    if isinstance(arrays, tuple | list):
        return [(str(position), array) for position, array in enumerate(arrays)]
    return [("", arrays)]


def unlisted(x: Any, y: Any) -> tuple[Any, Any]:
    """Return inputs and targets in which a list of samples is one array; a list of arrays stays several.

    Args:
        x, y: arrays, Python lists, or a tuple, list or dict of arrays or lists for several inputs (targets).

    Raises:
        DataError: the samples of a list differ in shape.
    """
    if _is_sequence(x) and _is_sequence(y) and len(x) == len(y):
        # Samples; or one array an input and one a target, all of one length, of which there are few.
        sizes = {len(each) for each in (*x, *y)}
        samples = len(x) if len(sizes) > 1 or len(x) > max(sizes) else -1
    else:
        known = y if not _is_sequence(y) else x
        lengths = (
            [len(each) for _, each in leaves(_nested(known)) if np.ndim(each)] if known is not None else []
        )
        samples = lengths[0] if lengths else -1
    return _array(x, samples), _array(y, samples)


def _is_sequence(value: Any) -> bool:
    """Return whether a value is a list of arrays, which Keras takes for several inputs."""
    return (
        isinstance(value, list) and bool(value) and all(np.ndim(each) and _is_array(each) for each in value)
    )


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _nested(value: Any) -> Any:
    """Return a list of plain numbers, or of lists of them, as what `leaves` takes for one array."""
    return np.empty(len(value)) if isinstance(value, list) and not _is_sequence(value) else value


def _array(value: Any, samples: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _array(each, samples) for key, each in value.items()}
    if isinstance(value, tuple) or (_is_sequence(value) and len(value) != samples):
        return tuple(_array(each, samples) for each in value)
    if not isinstance(value, list):
        return value
    try:
        return np.stack([np.asarray(each) for each in value]) if _is_sequence(value) else np.asarray(value)
    except ValueError as error:
        raise DataError(
            "The samples of a list differ in shape. Bring them to one shape, as numpy.stack takes them; for "
            "several inputs give a tuple or dict of arrays."
        ) from error


def is_batches(data: Any) -> bool:
    """Return whether data is a list of batches `(inputs, labels)`."""
    return isinstance(data, list) and bool(data) and all(isinstance(each, tuple) for each in data)


def comes_in_batches(data: Any) -> bool:
    """Return whether data comes batch by batch: it is no array, and no list, tuple or dict of arrays."""
    whole = hasattr(data, "shape") or isinstance(data, list | tuple | Mapping | int | float | str | None)
    return is_batches(data) or not whole


def map_leaves(function: Callable[[Any], Any], arrays: Any) -> Any:
    """Return the same structure with `function` applied to each array; a list becomes a tuple."""
    if isinstance(arrays, Mapping):
        return {key: function(arrays[key]) for key in arrays}
    if isinstance(arrays, tuple | list):
        return tuple(function(array) for array in arrays)
    return function(arrays)


def nested_leaves(arrays: Any) -> list[Any]:
    """Return the arrays of a structure that may be nested; a None is one of them."""
    if isinstance(arrays, Mapping):
        return [array for key in sorted(arrays) for array in nested_leaves(arrays[key])]
    if isinstance(arrays, tuple | list):
        return [array for each in arrays for array in nested_leaves(each)]
    return [arrays]


def nested_map(function: Callable[..., Any], arrays: Any, *others: Any) -> Any:
    """Return the structure of `arrays`, which may be nested, with `function` applied to each array.

    Args:
        function: of an array of each structure.
        arrays, others: arrays in the same structure.
    """
    if isinstance(arrays, Mapping):
        return {key: nested_map(function, *(each[key] for each in (arrays, *others))) for key in arrays}
    if isinstance(arrays, tuple | list):
        made = [nested_map(function, *each) for each in zip(arrays, *others, strict=True)]
        return type(arrays)(*made) if hasattr(arrays, "_fields") else type(arrays)(made)
    return function(arrays, *others)


def named_map(function: Callable[[Any, str], np.ndarray], arrays: Any, name: str) -> Arrays:
    """Return the same structure with `function` applied to each array and its name: `x_train/left`."""
    made = {key: function(array, f"{name}{key and '/' + key}") for key, array in leaves(arrays)}
    if isinstance(arrays, Mapping):
        return made
    return tuple(made.values()) if isinstance(arrays, tuple | list) else made[""]


def fits(shape: Sequence[int | None], known: Sequence[int | None]) -> bool:
    """Return whether a shape is one of `known`, where None stands for any size."""
    return len(shape) == len(known) and all(b is None or a == b for a, b in zip(shape, known, strict=True))


def count(arrays: Any) -> int:
    """Return the number of samples; the arrays may be in a nested structure."""
    while isinstance(arrays, Mapping | tuple | list):
        arrays = next(iter(arrays.values() if isinstance(arrays, Mapping) else arrays))
    return len(arrays)


def in_order(values: Any, names: Sequence[str], what: str) -> list[np.ndarray]:
    """Return one array a name.

    Args:
        values: a dict by name, a tuple or list in the order of `names`, or one array where there is one name.
        names: what the model calls its inputs (outputs), in its order.
        what: how an error message calls `values`.

    Raises:
        InvalidArgumentError: a name is missing or unknown, or the number does not fit.
    """
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise InvalidArgumentError(
                f"{what} must have one array for each of {_listed(names)}, got {_listed(list(values))}."
            )
        return [np.asarray(values[name]) for name in names]
    if isinstance(values, tuple | list):
        if len(values) != len(names):
            raise InvalidArgumentError(
                f"{what} must have one array for each of {_listed(names)}, in this order, got {len(values)}."
            )
        return [np.asarray(value) for value in values]
    if len(names) != 1:
        raise InvalidArgumentError(
            f"{what} must be a tuple or dict of {len(names)} arrays, for {_listed(names)}, got one "
            f"{type(values).__name__}."
        )
    return [np.asarray(values)]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) or "nothing"
