"""Where data comes from: the names, file kinds and folders that `tfopt.data.load` knows."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from tfopt import _validation
from tfopt._validation import is_whole
from tfopt.data.arrays import from_arrays
from tfopt.data.dataset import Dataset
from tfopt.data.sources.images import read_folder
from tfopt.errors import DataError, InvalidArgumentError

_CACHED = {
    "mnist": "mnist.npz",
    "fashion_mnist": "fashion-mnist/ (its four .gz files)",
    "cifar10": "cifar-10-batches-py-target/ (the unpacked archive)",
    "cifar100": "cifar-100-python-target/ (the unpacked archive)",
}
"""The image datasets of `keras.datasets` and where Keras keeps them below ~/.keras/datasets."""


def _digits() -> dict[str, Any]:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    return {
        "x_train": bunch.images[..., np.newaxis],
        "y_train": bunch.target,
        "class_names": [str(name) for name in bunch.target_names],
        "scale": "1/16",
    }


def _keras_dataset(name: str) -> dict[str, Any]:
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, name).load_data()
    except Exception as error:  # get_file raises a bare Exception when it cannot download
        reason = " ".join(str(error).split())
        raise DataError(
            f"Cannot get {name!r}: {reason or type(error).__name__}. Without a network, put it into "
            f"~/.keras/datasets/{_CACHED[name]} yourself, or load your own .npz file: "
            "tfopt.data.load('file.npz')."
        ) from error
    return {"x_train": _images(x_train), "y_train": y_train, "x_test": _images(x_test), "y_test": y_test}


def _npz(path: Path) -> dict[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError, AttributeError, TypeError) as error:
        if "Object arrays" in str(error):
            problem = "it holds object arrays, which are never unpickled: save plain numeric arrays"
        else:
            problem = "it is not an intact .npz file"
        raise DataError(f"Cannot read {path}: {problem}.") from error
    except OSError as error:
        raise DataError(f"Cannot read {path}: {error.strerror or error}.") from error

    grouped = _grouped(arrays, path)
    if {"x", "y"} <= grouped.keys():
        return {"x_train": grouped["x"], "y_train": grouped["y"]}
    if not {"x_train", "y_train"} <= grouped.keys():
        raise DataError(
            f"{path} must hold x_train, y_train, x_test, y_test (and may hold x_val, y_val), or x and y; "
            f"found {', '.join(arrays) or 'nothing'}."
        )
    wanted = [f"{part}_{split}" for split in ("train", "val", "test") for part in "xy"]
    return {key: grouped[key] for key in wanted if key in grouped}


def _grouped(arrays: dict[str, np.ndarray], path: Path) -> dict[str, Any]:
    """Return the arrays of a file, those called `x_train/NAME` as a dict by name; images with channels."""
    found: dict[str, Any] = {}
    for key, array in arrays.items():
        whole, _, name = key.partition("/")
        parts = found.setdefault(whole, {})
        parts[name] = _images(array) if whole.startswith("x") else array
        if "" in parts and len(parts) > 1:
            raise DataError(f"{path} holds {whole} as one array and as {whole}/NAME: save one of the two.")
    return {key: parts.get("", parts) for key, parts in found.items()}


def _images(x: np.ndarray) -> np.ndarray:
    """Give grayscale images of bytes, (samples, height, width), the channel axis that Conv2D needs."""
    return x[..., np.newaxis] if x.ndim == 3 and x.dtype == np.uint8 else x


def _size(image_size: Any) -> tuple[int, int] | None:
    """Return (height, width) of what is given as `image_size`."""
    if image_size is None:
        return None
    sizes = (image_size, image_size) if is_whole(image_size) else image_size
    if (
        not isinstance(sizes, tuple | list)
        or len(sizes) != 2
        or not all(is_whole(n) and n > 0 for n in sizes)
    ):
        raise InvalidArgumentError(
            f"image_size must be (height, width) or one number for both, in pixels, got {image_size!r}."
        )
    return int(sizes[0]), int(sizes[1])


_OPTIONS = (
    "scale",
    "validation",
    "test",
    "stratify",
    "num_classes",
    "class_names",
    "class_weight",
    "name",
)
"""What `load` hands on to `from_arrays`."""

_NAMES: dict[str, Callable[[], dict[str, Any]]] = {
    "digits": _digits,
    **{name: partial(_keras_dataset, name) for name in _CACHED},
}


def load(
    source: str | os.PathLike[str],
    *,
    seed: int = 0,
    image_size: int | tuple[int, int] | None = None,
    stream: bool | Literal["auto"] = "auto",
    cache: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Dataset:
    """Load a dataset by name, from an .npz file, or from a folder with one folder of images a class.

    Args:
        source: `"digits"` (8x8 handwritten digits from scikit-learn, no download);
            `"mnist"`, `"fashion_mnist"`, `"cifar10"`, `"cifar100"` (through `keras.datasets`);
            a path to an `.npz` file with x_train, y_train, x_test, y_test, optionally x_val, y_val, or
            with x, y alone (several inputs or targets are arrays called x_train/NAME, y_train/NAME); a path
            to a folder `<class>/<image>`, or `train/<class>/<image>` next to `test/...` and optionally
            `validation/...`.
            Bytes (`uint8`) of shape (samples, height, width) become images of one channel.
        seed: decides which training samples are held out for validation.
        image_size: (height, width) to which the images of a folder are resized, or one number for both;
            without it they must all be of one size.
        stream: whether the images of a folder are decoded each time that they are needed, in several
            threads, instead of once; `"auto"`: where they would take more than 512 MiB as float32. Splits,
            values and results are the same. `data.place` tells.
        cache: where decoded images are kept, as bytes, when they are streamed: `"memory"`, `"disk"` (a
            temporary file) or the folder for that file; `None` for nowhere.
        **options: `scale`, `validation`, `test`, `stratify`, `num_classes`, `class_names`,
            `class_weight`, `name` of `from_arrays`. Images are divided by 255 unless `scale` says otherwise,
            or a run finds that the model does so by itself.

    Raises:
        DataError: there is no such dataset, it cannot be read or downloaded, or training cannot use it.

    Example:
        >>> data = load("digits")
        >>> data.input_shape, data.num_classes
        ((8, 8, 1), 10)
    """
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise InvalidArgumentError(
            f"load has no option {', '.join(unknown)}; expected seed, image_size, stream, cache, "
            f"{', '.join(_OPTIONS)}."
        )
    path = _validation.path("load", "source", source).expanduser()
    if image_size is not None and not path.is_dir():
        raise InvalidArgumentError(f"image_size is for folders of images; {str(source)!r} is none.")
    _validation.choice("load", "stream", stream, (True, False, "auto"))
    if (stream is True or cache is not None) and not path.is_dir():
        raise InvalidArgumentError(f"stream and cache are for folders of images; {str(source)!r} is none.")
    if str(source) in _NAMES:
        found = {"name": str(source), **_NAMES[str(source)]()}
    elif path.is_dir():
        found = {
            "name": path.resolve().name,
            **read_folder(path, _size(image_size), stream=stream, cache=cache),
        }
    elif path.suffix == ".npz":
        if not path.exists():
            raise DataError(f"No such file: {path}.")
        found = {"name": path.stem, **_npz(path)}
    else:
        raise DataError(
            f"Unknown dataset {str(source)!r}: expected one of {', '.join(_NAMES)}, an .npz file, or a "
            f"folder with one folder of images a class."
        )
    return from_arrays(**(found | options), seed=seed)
