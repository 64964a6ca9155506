"""The data of a command that takes a model: with labels or without, in a folder, an .npz file or by name."""

from __future__ import annotations

import dataclasses
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import tfopt
from tfopt import graph
from tfopt.data import Dataset
from tfopt.data.sources.images import has_classes, read_images
from tfopt.data.streaming.stored import mapped
from tfopt.errors import DataError

if TYPE_CHECKING:
    import keras

_LABELS = ("y", "y_train", "y_test")


@dataclass(frozen=True)
class Given:
    """The data that was given.

    Attributes:
        data: inputs in the model's order; where nothing is known of the targets these are zeros.
        labelled: whether its targets are known.
    """

    data: Dataset
    labelled: bool


def read(source: str, model: keras.Model, *, scale: str, image_size: tuple[int, int] | None) -> Given:
    """Return the samples in `source` as `model` takes them.

    Args:
        source: what `tfopt.data.load` takes; or, without labels, a folder of images, an .npz file with one
            array, or one with an array for each input by its name.
        model: of which images get their size and their channels, where they are not told.
        scale: see `tfopt.data.from_arrays`.
        image_size: (height, width) of images in a folder.

    Raises:
        DataError: there are none, or they cannot be read or used.
    """
    path = Path(source).expanduser()
    scaling: dict[str, Any] = {} if scale == "auto" else {"scale": scale}  # digits have a scale of their own
    shape = tuple(model.inputs[0].shape) if len(model.inputs) == 1 else ()
    if path.is_dir():
        if image_size is None and len(shape) == 4 and None not in shape[1:3]:
            image_size = (shape[1], shape[2])
        if has_classes(path):
            found = Given(tfopt.data.load(path, image_size=image_size, **scaling), labelled=True)
        else:
            found = _unlabelled(read_images(path, image_size), path.resolve().name, scale)
    elif path.suffix == ".npz" and path.exists():
        found = _npz(path, model, scale)
    else:
        found = Given(tfopt.data.load(source, **scaling), labelled=True)
    data = _with_channels(found.data, shape[-1] if len(shape) == 4 else None)
    return dataclasses.replace(found, data=graph.as_taken(model, data))


def _npz(path: Path, model: keras.Model, scale: str) -> Given:
    try:
        with np.load(path, allow_pickle=False) as file:
            names = file.files
            inputs = [tensor.name for tensor in model.inputs]
            x: Any = None
            if set(inputs) <= set(names):
                x = tuple(file[name] for name in inputs)
                x = x[0] if len(x) == 1 else x
            elif not set(names) & set(_LABELS) and len(names) == 1:
                x = file[names[0]]
            y = next((file[name] for name in _LABELS if name in names), None)
    except (ValueError, EOFError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise DataError(
            f"Cannot read {path}: {error}. Write it again with numpy.savez(..., x=..., y=...)."
        ) from error
    options: dict[str, Any] = {} if y is None or not _are_numbers(y) else {"num_classes": None}
    if x is not None and y is None:
        return _unlabelled(x, path.stem, scale)
    if x is not None:
        data = tfopt.data.from_arrays(x, y, name=path.stem, scale=scale, **options)
        return Given(data, labelled=True)
    return Given(tfopt.data.load(path, scale=scale, **options), labelled=True)


def _are_numbers(y: np.ndarray) -> bool:
    """Return whether targets are numbers to be predicted rather than classes."""
    return y.dtype.kind == "f" and not np.array_equal(y, np.round(y))


def _unlabelled(x: Any, name: str, scale: str) -> Given:
    first = x[0] if isinstance(x, tuple) else x
    nothing = np.zeros((len(first), 1), np.float32)
    return Given(tfopt.data.from_arrays(x, nothing, num_classes=None, name=name, scale=scale), labelled=False)


def _with_channels(data: Dataset, channels: int | None) -> Dataset:
    """Return gray images with three equal channels where the model takes three."""
    x = data.x_train
    if channels != 3 or isinstance(x, tuple | dict) or x.shape[-1] != 1:
        return data
    splits: dict[str, Any] = {
        name: mapped(lambda rows: np.repeat(rows, 3, axis=-1), getattr(data, name))
        for name in ("x_train", "x_val", "x_test")
    }
    return dataclasses.replace(data, **splits)
