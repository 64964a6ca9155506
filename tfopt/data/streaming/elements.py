"""The batches of a `tf.data.Dataset`, a `keras.utils.PyDataset` or a generator function, read once, checked.

A batch is (inputs, targets) or (inputs, targets, sample weights), as `fit` takes it; the three may be arrays,
or tuples or dicts of them.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfopt.data.structure import leaves
from tfopt.errors import DataError, InvalidArgumentError, TfoptError

EXPECTED = "a tf.data.Dataset, a keras.utils.PyDataset or a function that returns a generator of batches"
_BATCH = 256
_PARTS = (2, 3)


def is_source(data: Any) -> bool:
    """Return whether data is given batch by batch: what `batches_of_source` reads, or refuses by name."""
    return isinstance(
        data, tf.data.Dataset | keras.utils.PyDataset | tf.distribute.DistributedDataset | Iterator
    ) or (callable(data) and not isinstance(data, type))


def batches_of_source(
    data: Any, what: str, *, steps: int | None = None, batched: bool | None = None, targets: bool = True
) -> Iterator[tuple[Any, ...]]:
    """Yield batches as tuples of arrays, or of tuples and dicts of arrays.

    Args:
        data: see `EXPECTED`.
        what: how an error calls it, such as `"The training data"`.
        steps: take so many batches (of a dataset without batches: samples), where it has more or never ends.
        batched: whether the elements of a `tf.data.Dataset` are batches; `None` finds out.
        targets: whether there have to be any; a batch that is no tuple or list is its inputs otherwise.

    Raises:
        InvalidArgumentError: the data is of another kind, never ends, or can be read only once.
        DataError: its elements are no batches of samples with targets, or its own code fails.
    """
    elements = _elements(data, what, steps, batched)
    number = -1
    try:
        for number, element in enumerate(elements):
            alone = not targets and not isinstance(element, tuple | list)
            yield _parts((element,) if alone else element, what, number, (1,) if alone else _PARTS)
    except TfoptError:
        raise
    except Exception as error:  # code of the user's, which may raise anything
        reason = " ".join(str(error).split())[:300]
        raise DataError(
            f"{what} raised {type(error).__name__} after {number + 1} batches: {reason}. Correct what makes "
            "its samples."
        ) from error


def _elements(data: Any, what: str, steps: int | None, batched: bool | None) -> Iterable[Any]:
    if isinstance(data, tf.data.Dataset):
        return _of_tensorflow(data, what, steps, batched)
    if isinstance(data, keras.utils.PyDataset):
        count = data.num_batches
        if count is None and steps is None:
            raise _endless(what)
        return (data[index] for index in range(min(count or steps or 0, steps or count or 0)))
    if isinstance(data, tf.distribute.DistributedDataset):
        raise InvalidArgumentError(
            f"{what} is shared among devices already and cannot be sharded again: give the tf.data.Dataset "
            "that it was made of. The run gives each device its part."
        )
    if isinstance(data, Iterator):
        raise InvalidArgumentError(
            f"{what} is an iterator ({type(data).__name__}), which is exhausted once it was read: give the "
            "function that makes it, without calling it."
        )
    if callable(data):
        return _of_function(data, what, steps)
    raise InvalidArgumentError(f"{what} must be {EXPECTED}; got {type(data).__name__}.")


def _of_function(make: Callable[[], Any], what: str, steps: int | None) -> Iterator[Any]:
    made = make()
    if isinstance(made, tf.data.Dataset | keras.utils.PyDataset):
        return iter(_elements(made, what, steps, None))
    if not isinstance(made, Iterable) or isinstance(made, Mapping | tuple | str | bytes | np.ndarray):
        raise InvalidArgumentError(
            f"{what} is a function that returned a {type(made).__name__}: it must yield batches, "
            "(inputs, targets) each."
        )
    return itertools.islice(made, steps)


def _of_tensorflow(
    data: tf.data.Dataset, what: str, steps: int | None, batched: bool | None
) -> Iterable[Any]:
    specs = tf.nest.flatten(data.element_spec)
    if foreign := [spec for spec in specs if not isinstance(spec, tf.TensorSpec)]:
        raise DataError(
            f"{what} holds a {type(foreign[0]).__name__.removesuffix('Spec')}, and samples of one shape are "
            "expected: make it dense (to_tensor(), tf.sparse.to_dense) in a map()."
        )
    if steps is not None:
        data = data.take(steps)
    elif int(data.cardinality()) == tf.data.INFINITE_CARDINALITY:
        raise _endless(what)
    if not (_has_batches(specs) if batched is None else batched):
        data = data.batch(_BATCH)
    return data.prefetch(1).as_numpy_iterator()


def batched(data: tf.data.Dataset) -> tf.data.Dataset:
    """Return a dataset of batches: the same, or of single samples these in batches."""
    specs = tf.nest.flatten(data.element_spec)
    dense = all(isinstance(spec, tf.TensorSpec) for spec in specs)
    return data.batch(_BATCH) if dense and not _has_batches(specs) else data


def _has_batches(specs: list[tf.TensorSpec]) -> bool:
    """Return whether elements are batches: all parts have one first axis, of one length or an open one."""
    firsts = {spec.shape[0] if spec.shape.rank else 0 for spec in specs if spec.shape.rank is not None}
    return firsts != {0} and 0 not in firsts and len(firsts) <= 1


def _endless(what: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{what} never ends, and an epoch is one pass over it: remove repeat(), or say with steps= of "
        "tfopt.data.from_batches how many batches are taken."
    )


def _parts(element: Any, what: str, number: int, lengths: tuple[int, ...]) -> tuple[Any, ...]:
    """Return a batch of so many parts as arrays, checked."""
    if not isinstance(element, tuple | list) or len(element) not in lengths:
        found = (
            f"{type(element).__name__} of {len(element)}"
            if isinstance(element, tuple | list | Mapping)
            else type(element).__name__
        )
        raise DataError(
            f"{what} must give (inputs, targets) or (inputs, targets, sample_weight), got a {found} at batch "
            f"{number + 1}. Let its elements be such tuples."
        )
    parts = tuple(_arrays(part, what, number) for part in element)
    counts = {array.shape[:1] for part in parts for _, array in leaves(part)}
    if len(counts) != 1 or () in counts:
        shapes = ", ".join(str(array.shape) for part in parts for _, array in leaves(part))
        raise DataError(
            f"{what} must give batches with samples in front, as many of inputs as of targets, got the "
            f"shapes {shapes} at batch {number + 1}. Where its elements are single samples, pass "
            "batched=False."
        )
    return parts


def _arrays(part: Any, what: str, number: int) -> Any:
    if isinstance(part, Mapping):
        return {name: _array(each, what, number) for name, each in part.items()}
    if isinstance(part, tuple | list):
        return tuple(_array(each, what, number) for each in part)
    return _array(part, what, number)


def _array(value: Any, what: str, number: int) -> np.ndarray:
    if isinstance(value, Mapping | tuple):
        raise DataError(
            f"{what} nests inputs or targets more than once at batch {number + 1}: give a dict or tuple of "
            "arrays."
        )
    array = np.asarray(value)
    if array.dtype.kind == "O" and all(isinstance(each, bytes | str) for each in array.flat):
        texts = [each.decode() if isinstance(each, bytes) else each for each in array.flat]
        return np.array(texts, str).reshape(array.shape)
    if array.dtype.kind not in "fiubUS":
        array = np.asarray(array, np.float32) if array.dtype.kind == "V" else array  # bfloat16
    return array


def warn_of_random(data: Any, what: str) -> None:
    """Warn of a `PyDataset` that gives other samples each time it is asked."""
    if not isinstance(data, keras.utils.PyDataset):
        return
    first, again = ([array for part in data[0] for _, array in leaves(part)] for _ in range(2))
    if any(not np.array_equal(a, b) for a, b in zip(first, again, strict=True)):
        warnings.warn(
            f"{what} gives other samples each time it is asked for its first batch, and is read once: let "
            "the augmentation be layers of the model, such as RandomFlip.",
            stacklevel=3,
        )
