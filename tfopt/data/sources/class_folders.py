"""Files in folders, one folder a class: `<class>/<file>`, or `train|validation|test/<class>/<file>`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tfopt import _validation
from tfopt.errors import DataError

_SPLITS = {"train": "train", "validation": "val", "val": "val", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """Which files count.

    Attributes:
        suffixes: in lower case.
        plural: what errors call them.
    """

    suffixes: tuple[str, ...]
    plural: str


@dataclass(frozen=True, kw_only=True)
class ClassFolders:
    """The files of each split with their labels.

    Attributes:
        names: of the classes, in alphabetical order.
        files: split (`"train"`, `"val"`, `"test"`) -> (file, label) pairs.
    """

    names: list[str]
    files: dict[str, list[tuple[Path, int]]]

    def labels(self) -> dict[str, np.ndarray]:
        """Return the labels as `from_arrays` takes them: `y_train` and those of the other splits."""
        return {
            f"y_{split}": np.array([label for _, label in entries], np.int32)
            for split, entries in self.files.items()
        }


def class_folders(
    root: Path, kind: FileKind, class_of: Callable[[str], str | None] | None = None
) -> ClassFolders:
    """Return the files below `root`.

    Args:
        root: the folder.
        kind: of the files.
        class_of: name of a folder -> name of its class, or None to leave the folder out; by default the
            folder's.

    Raises:
        DataError: there are fewer than two classes, or a split has one that training does not have.
    """
    splits = {_SPLITS[f.name]: f for f in folders(root) if f.name in _SPLITS}
    splits = splits if "train" in splits else {"train": root}
    found = {split: _by_class(folder, kind, class_of) for split, folder in splits.items()}
    names = sorted(found["train"])
    if len(names) < 2:
        raise DataError(
            f"{root} must hold two or more folders of {kind.plural}, one a class; got "
            f"{', '.join(names) or 'none'}."
        )
    for split, folder in splits.items():
        if unknown := sorted(set(found[split]) - set(names)):
            raise DataError(f"{folder} holds classes that {splits['train']} does not: {', '.join(unknown)}.")
    files = {
        split: [(file, label) for label, name in enumerate(names) for file in by_class.get(name, ())]
        for split, by_class in found.items()
    }
    return ClassFolders(names=names, files=files)


def read_class_folders(
    source: Any,
    kind: FileKind,
    read: Callable[[Path], np.ndarray],
    *,
    caller: str,
    class_of: Callable[[str], str | None] | None = None,
) -> dict[str, Any]:
    """Return the samples that `read` makes of the files, labels and class names, as `from_arrays` takes them.

    Raises:
        DataError: there is no such folder or no such file in one, or the samples differ in shape.
    """
    root = _validation.path(caller, "source", source).expanduser()
    if not root.is_dir():
        raise DataError(f"{source} must be a folder with one folder of {kind.plural} a class; it is none.")
    found = class_folders(root, kind, class_of)
    if not found.files["train"]:
        raise DataError(
            f"{root} holds no {kind.plural} ({', '.join(kind.suffixes)}) in its folders: expected "
            f"<class>/<name>{kind.suffixes[0]}."
        )
    arrays: dict[str, Any] = {"name": root.resolve().name, "class_names": found.names, **found.labels()}
    for split, entries in found.files.items():
        samples = [read(file) for file, _ in entries]
        _require_one_shape(samples, entries)
        arrays[f"x_{split}"] = np.stack(samples) if samples else np.zeros((0, 1), np.float32)
    return arrays


def _require_one_shape(samples: Sequence[np.ndarray], entries: Sequence[tuple[Path, int]]) -> None:
    for sample, (file, _) in zip(samples, entries, strict=True):
        if sample.shape != samples[0].shape:
            raise DataError(
                f"The samples differ in shape: {file.name} gives {sample.shape}, {entries[0][0].name} "
                f"{samples[0].shape}."
            )


def folders(root: Path) -> list[Path]:
    """Return the folders in one, without hidden ones, in the order of their names."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def files_of(folder: Path, kind: FileKind) -> list[Path]:
    """Return the files of a kind in a folder, in the order of their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in kind.suffixes)


def _by_class(
    root: Path, kind: FileKind, class_of: Callable[[str], str | None] | None
) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for folder in folders(root):
        name = folder.name if class_of is None else class_of(folder.name)
        if name is not None:
            found.setdefault(name, []).extend(files_of(folder, kind))
    return found
