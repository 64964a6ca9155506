"""Data that comes batch by batch: a `tf.data.Dataset`, `keras.utils.PyDataset` or generator function.

What needs TensorFlow is imported when there is such data, so that files are read without it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from tfopt import _validation
from tfopt.data.arrays import from_arrays
from tfopt.data.dataset import SPLITS, Dataset
from tfopt.data.labels import is_one_hot
from tfopt.data.streaming.gathering import gathered
from tfopt.errors import InvalidArgumentError


def from_batches(
    train: Any,
    *,
    validation: Any = 0.1,
    test: Any = 0.2,
    steps: int | Mapping[str, int] | None = None,
    batched: bool | None = None,
    cache: str | os.PathLike[str] | None = None,
    name: str = "batches",
    **options: Any,
) -> Dataset:
    """Make a `Dataset` of data that is given batch by batch, as `keras.Model.fit` takes it.

    The data is read once, before any training. What takes more than 512 MiB as float32 goes into a temporary
    file and is read from there while it is needed; the rest is held in memory. A run shuffles all samples
    anew for each epoch. So what the data itself draws at random in a `map` or in `__getitem__` is drawn once:
    put augmentation into the model, as Keras's layers (`RandomFlip`), which act in training alone.

    Samples are put in an order that depends on their content alone: data that is shuffled differently each
    time has the same splits and the same fingerprint.

    Args:
        train: a `tf.data.Dataset` of batches or of samples, a `keras.utils.PyDataset`, or a function that
            returns one of these or a generator of batches. Elements are (inputs, targets) or
            (inputs, targets, sample_weight), each an array, or a tuple or dict of arrays by the model's
            inputs and outputs.
        validation, test: the same, or the share of samples that is held out for them.
        steps: how many batches are taken (of a dataset of samples: samples), where one never ends or has
            more; a number for the training data, or split -> number.
        batched: whether elements of a `tf.data.Dataset` are batches; `None` finds out: they are where all
            their parts have one first axis in common.
        cache: the folder of the temporary files; `None` for that of `tempfile`.
        name: what reports call the data.
        **options: of `from_arrays`: `scale`, `num_classes`, `class_names`, `class_weight`, `stratify` and
            `seed`. `num_classes` is by default inferred where targets are integers, one a sample, text, or
            rows of zeros with a single 1, or only 0 and 1; other targets are numbers.

    Raises:
        InvalidArgumentError: data of another kind, that never ends, or that can be read only once.
        DataError: it is empty, its elements are of another structure or differ in it, hold NaN or infinity,
            or do not fit on the disk.
    """
    from tfopt.data.streaming.elements import batches_of_source, warn_of_random

    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise InvalidArgumentError(
            f"from_batches has no option {', '.join(unknown)}; expected validation, test, steps, batched, "
            f"cache, name, {', '.join(_OPTIONS)}."
        )
    folder = Path(tempfile.gettempdir() if cache is None else cache)
    if not folder.is_dir():
        raise InvalidArgumentError(f"cache must be a folder that exists, got {os.fspath(folder)!r}.")
    limits = _steps(steps)
    arguments: dict[str, Any] = {}
    for split, given in (("train", train), ("validation", validation), ("test", test)):
        if split != "train" and isinstance(given, Real):
            arguments[split] = given
            continue
        what = f"The {split} data" if split != "train" else "The training data"
        batches = batches_of_source(given, what, steps=limits.get(split), batched=batched)
        parts = gathered(batches, what, folder)
        warn_of_random(given, what)
        arguments[f"x_{SPLITS[split]}"], arguments[f"y_{SPLITS[split]}"] = parts[:2]
        if len(parts) > len("xy"):
            arguments["sample_weight" if split == "train" else f"sample_weight_{SPLITS[split]}"] = parts[2]
    classes = "infer" if _are_classes(arguments["y_train"]) else None
    return from_arrays(**arguments, name=name, **({"num_classes": classes} | options))


_OPTIONS = ("scale", "num_classes", "class_names", "class_weight", "stratify", "seed")


def as_dataset(data: Any) -> Any:
    """Return data that came batch by batch as a `Dataset`; anything else as it is.

    Args:
        data: see `from_batches`; or a dict of `train` and optionally `validation` and `test`.

    Raises:
        InvalidArgumentError: as `from_batches`, or a dict has other splits.
    """
    if isinstance(data, Dataset):
        return data
    from tfopt.data.streaming.elements import is_source

    if is_source(data):
        return from_batches(data)
    if isinstance(data, Mapping) and is_source(data.get("train")):
        unknown = [repr(key) for key in data if key not in SPLITS]
        if unknown:
            raise InvalidArgumentError(
                f"Data batch by batch is a dict of {', '.join(SPLITS)}, got {', '.join(unknown)}: name each "
                "split so, or make a dataset with tfopt.data.from_batches(...)."
            )
        return from_batches(**data)
    return data


def _steps(steps: Any) -> dict[str, int]:
    if steps is None:
        return {}
    found = dict(steps) if isinstance(steps, Mapping) else {"train": steps}
    for split, number in found.items():
        _validation.choice("from_batches", "the split in steps", split, SPLITS)
        _validation.whole("from_batches", "steps", number, at_least=1)
    return found


def _are_classes(y: Any) -> bool:
    """Return whether targets are labels of classes: an array of one label a sample, or of one-hot rows."""
    if not isinstance(y, np.ndarray):
        return False
    if y.dtype.kind in "US" or is_one_hot(y):
        return True
    if y.ndim != 1 and y.shape[1:] != (1,):
        return False
    return y.dtype.kind in "iub" or bool(np.all((y == 0) | (y == 1)))
