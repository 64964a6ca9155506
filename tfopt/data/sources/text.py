"""Texts in folders, one folder a class."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tfopt.data.arrays import from_arrays
from tfopt.data.dataset import Dataset
from tfopt.data.sources.class_folders import FileKind, read_class_folders
from tfopt.errors import DataError

_TEXT = FileKind(suffixes=(".txt",), plural="text files")


def load_text(
    source: str | os.PathLike[str],
    *,
    encode: Callable[[str], Any],
    class_of: Callable[[str], str | None] | None = None,
    seed: int = 0,
    **options: Any,
) -> Dataset:
    """Load a folder `<class>/<text>.txt`, or `train|validation|test/<class>/<text>.txt`.

    Args:
        source: the folder.
        encode: what a sample is made of a text: a function that returns numbers of one shape for all texts,
            such as token ids padded to one length. It is applied outside of the model: who uses the file
            applies it as well.
        class_of: name of a folder -> name of its class, or `None` to leave the folder out.
        seed: decides which training samples are held out for validation.
        **options: of `from_arrays`.

    Raises:
        DataError: there are no text files, or one is not UTF-8.
    """

    def read(file: Path) -> np.ndarray:
        try:
            return np.asarray(encode(file.read_text(encoding="utf-8")))
        except UnicodeDecodeError as error:
            raise DataError(f"Cannot read the text {file}: it is not UTF-8. Convert it.") from error

    found = read_class_folders(source, _TEXT, read, caller="load_text", class_of=class_of)
    return from_arrays(**(found | options), seed=seed)
