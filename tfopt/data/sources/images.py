"""Images in folders, one folder a class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.data.sources.class_folders import FileKind, class_folders, files_of, folders
from tfopt.errors import DataError

_IMAGES = FileKind(suffixes=(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp"), plural="images")


def read_folder(root: Path, image_size: tuple[int, int] | None) -> dict[str, Any]:
    """Return the arrays and class names of `<class>/<image>`, or of `train|validation|test/<class>/<image>`.

    Images are grayscale when all of them are, else RGB; bytes. Classes are numbered in the order of
    their names.

    Raises:
        DataError: there are no images, one cannot be read, or their sizes differ without `image_size`.
    """
    classes = class_folders(root, _IMAGES)
    files = classes.files
    images = {file: _open(file, image_size) for entries in files.values() for file, _ in entries}
    mode = _require_one_size(images)
    found: dict[str, Any] = {"class_names": classes.names, **classes.labels()}
    for split, entries in files.items():
        found[f"x_{split}"] = _stacked([images[file].convert(mode) for file, _ in entries], mode)
    return found


def _require_one_size(images: Mapping[Path, Any]) -> str:
    """Return the mode of all images, of which all must have one size."""
    sizes = {image.size: file for file, image in images.items()}
    if len(sizes) > 1:
        (size, file), (other_size, other) = list(sizes.items())[:2]
        raise DataError(
            f"The images differ in size: {file.name} is {size[1]}x{size[0]}, {other.name} is "
            f"{other_size[1]}x{other_size[0]}. Pass image_size=(height, width)."
        )
    return "L" if {image.mode for image in images.values()} == {"L"} else "RGB"


def _stacked(images: Sequence[Any], mode: str) -> np.ndarray:
    pixels = [np.asarray(image, np.uint8) for image in images]
    stacked = np.stack(pixels) if pixels else np.zeros((0, 1, 1), np.uint8)
    return stacked[..., np.newaxis] if mode == "L" else stacked


def has_classes(root: Path) -> bool:
    """Return whether a folder holds folders of images, one a class, rather than images without labels."""
    return bool(folders(root)) or not files_of(root, _IMAGES)


def read_images(root: Path, image_size: tuple[int, int] | None) -> np.ndarray:
    """Return the images in a folder, without labels, as `read_folder` does.

    Raises:
        DataError: one cannot be read, or their sizes differ without `image_size`.
    """
    images = {file: _open(file, image_size) for file in files_of(root, _IMAGES)}
    mode = _require_one_size(images)
    return _stacked([image.convert(mode) for image in images.values()], mode)


def _open(file: Path, image_size: tuple[int, int] | None) -> Any:
    from PIL import Image

    try:
        with Image.open(file) as opened:
            image = opened.convert("L" if opened.mode in ("1", "L") else "RGB")
            if image_size is None:
                return image
            return image.resize((image_size[1], image_size[0]), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"Cannot read the image {file}: {error}. Remove or replace it.") from error
