"""Images in folders, one folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.data.sources.class_folders import ClassFolders, FileKind, class_folders, files_of, folders
from tfopt.data.sources.image_files import header, image_rows, open_image, pixels
from tfopt.data.streaming.cache import cached
from tfopt.data.streaming.stored import LIMIT
from tfopt.errors import DataError

_IMAGES = FileKind(suffixes=(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"), plural="images")

AUTO = "auto"


def read_folder(
    root: Path, image_size: tuple[int, int] | None, *, stream: Any = AUTO, cache: Any = None
) -> dict[str, Any]:
    """Return the arrays and class names of `<class>/<image>`, or of `train|validation|test/<class>/<image>`.

    Images are grayscale when all of them are, else RGB; bytes. Classes are numbered in the order of
    their names.

    Args:
        root: the folder.
        image_size: (height, width) to which images are resized; `None` for images of one size.
        stream: whether images are decoded each time that they are needed; `"auto"` where they would take more
            than `LIMIT` bytes as float32, which their number and their headers tell.
        cache: see `tfopt.data.streaming.cache.cached`; of images that are streamed.

    Raises:
        DataError: there are no images, one cannot be read, or their sizes differ without `image_size`.
    """
    classes = class_folders(root, _IMAGES)
    if stream is not False:
        size, mode = _read_headers(classes, image_size)
        taken = sum(map(len, classes.files.values())) * size[0] * size[1] * (1 if mode == "L" else 3) * 4
        if stream is True or taken > LIMIT:
            return _streamed(classes, image_size, size, mode, cache)
    files = classes.files
    images = {file: open_image(file, image_size) for entries in files.values() for file, _ in entries}
    mode = _require_one_size(images)
    found: dict[str, Any] = {"class_names": classes.names, **classes.labels()}
    for split, entries in files.items():
        found[f"x_{split}"] = _stacked([images[file].convert(mode) for file, _ in entries])
    return found


def _read_headers(classes: ClassFolders, image_size: tuple[int, int] | None) -> tuple[tuple[int, int], str]:
    """Return (height, width) and mode that all images will have."""
    headers = {file: header(file) for entries in classes.files.values() for file, _ in entries}
    if image_size is None:
        _require_one({file: size for file, (size, _) in headers.items()})
        image_size = next(iter(headers.values()))[0] if headers else (1, 1)
    return image_size, "L" if {mode for _, mode in headers.values()} == {"L"} else "RGB"


def _streamed(
    classes: ClassFolders, image_size: tuple[int, int] | None, size: tuple[int, int], mode: str, cache: Any
) -> dict[str, Any]:
    found: dict[str, Any] = {"class_names": classes.names, **classes.labels()}
    for split, entries in classes.files.items():
        rows = image_rows([file for file, _ in entries], image_size, mode, size)
        found[f"x_{split}"] = cached(rows, cache)
    return found


def _require_one_size(images: Mapping[Path, Any]) -> str:
    """Return the mode of all images, of which all must have one size."""
    _require_one({file: (image.height, image.width) for file, image in images.items()})
    return "L" if {image.mode for image in images.values()} == {"L"} else "RGB"


def _require_one(sizes: Mapping[Path, tuple[int, int]]) -> None:
    found = {size: file for file, size in sizes.items()}
    if len(found) > 1:
        (size, file), (other_size, other) = list(found.items())[:2]
        raise DataError(
            f"The images differ in size: {file.name} is {size[0]}x{size[1]}, {other.name} is "
            f"{other_size[0]}x{other_size[1]}. Pass image_size=(height, width)."
        )


def _stacked(images: Sequence[Any]) -> np.ndarray:
    return np.stack([pixels(image) for image in images]) if images else np.zeros((0, 1, 1, 1), np.uint8)


def has_classes(root: Path) -> bool:
    """Return whether a folder holds folders of images, one a class, rather than images without labels."""
    return bool(folders(root)) or not files_of(root, _IMAGES)


def read_images(root: Path, image_size: tuple[int, int] | None) -> np.ndarray:
    """Return the images in a folder, without labels, as `read_folder` does.

    Raises:
        DataError: one cannot be read, or their sizes differ without `image_size`.
    """
    images = {file: open_image(file, image_size) for file in files_of(root, _IMAGES)}
    mode = _require_one_size(images)
    return _stacked([image.convert(mode) for image in images.values()])
