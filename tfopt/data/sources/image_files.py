"""Files of images: read at once, or decoded when they are asked for."""

from __future__ import annotations

import functools
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.data.streaming.stored import Stored
from tfopt.errors import DataError


def open_image(file: Path, size: tuple[int, int] | None) -> Any:
    """Return the image in a file, decoded: a Pillow image, grayscale where the file's is, else RGB.

    Args:
        file: of one of the formats that Pillow reads.
        size: (height, width) to which it is resized; `None` leaves it.

    Raises:
        DataError: it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(file) as opened:
            image = opened.convert("L" if opened.mode in GRAY else "RGB")
            if size is None:
                return image
            return image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable(file, error) from error


def header(file: Path) -> tuple[tuple[int, int], str]:
    """Return (height, width) and mode of an image, `"L"` or `"RGB"`, without decoding it.

    Raises:
        DataError: it cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(file) as opened:
            return (opened.height, opened.width), "L" if opened.mode in GRAY else "RGB"
    except (OSError, SyntaxError, ValueError) as error:
        raise unreadable(file, error) from error


GRAY = ("1", "L")
"""Pillow's modes of images of one channel."""


def unreadable(file: Path, error: Exception) -> DataError:
    """Return the error about a file that holds no image that can be decoded."""
    return DataError(f"Cannot read the image {file}: {error}. Remove or replace it.")


def pixels(image: Any) -> np.ndarray:
    """Return the bytes of a Pillow image, of shape (height, width, channels)."""
    found = np.asarray(image, np.uint8)
    return found[..., np.newaxis] if found.ndim == 2 else found


def image_rows(
    files: Sequence[Path], size: tuple[int, int] | None, mode: str, shape: tuple[int, int]
) -> Stored:
    """Return the images of files as bytes, (images, height, width, channels), read when they are indexed.

    Args:
        files: one an image.
        size: (height, width) to which they are resized; `None` for images that are of one size.
        mode: `"L"` for grayscale or `"RGB"`.
        shape: (height, width) of the rows.
    """
    channels = 1 if mode == "L" else 3

    def read(indices: np.ndarray) -> np.ndarray:
        rows = np.empty((len(indices), *shape, channels), np.uint8)

        def decode(place: int) -> None:
            file = files[indices[place]]
            image = open_image(file, size).convert(mode)
            if (image.height, image.width) != shape:
                raise DataError(f"The image {file} was changed while it was read. Run the same again.")
            rows[place] = pixels(image)

        if len(indices) == 1:
            decode(0)
        else:
            list(_decoders().map(decode, range(len(indices))))
        return rows

    def digest() -> str:
        found = hashlib.sha256(f"{size} {mode}".encode())
        for each in _decoders().map(_hash, files):
            found.update(each)
        return found.hexdigest()

    return Stored(
        shape=(len(files), *shape, channels),
        dtype=np.dtype(np.uint8),
        read=read,
        digest=functools.cache(digest),
        place=f"{len(files):,} image files",
    )


@functools.cache
def _decoders() -> ThreadPoolExecutor:
    """Return the threads that decode: Pillow lets others run while it does."""
    return ThreadPoolExecutor(min(os.cpu_count() or 1, 16), thread_name_prefix="tfopt-decode")


def _hash(file: Path) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()
