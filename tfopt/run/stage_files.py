"""The files of a run, and whether they still are what its stages wrote. Needs no TensorFlow."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FILE = "model.tflite"
"""What a run ships, in its folder; and what a stage that exports writes, in its own."""

LABELS = "labels.txt"
"""The names of the classes beside the file, one a line, as apps for TFLite files read them."""


def labels(names: Iterable[str]) -> str:
    """Return the content of `labels.txt`."""
    return "\n".join(names) + "\n"


def described(path: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return name -> size and SHA-256 of the files of a run that exist.

    Args:
        path: the folder of the run.
        names: relative to it.
    """
    return {
        name: {"bytes": (path / name).stat().st_size, "sha256": _digest(path / name)}
        for name in names
        if (path / name).is_file()
    }


def damaged(path: Path, entry: Mapping[str, Any], *, thorough: bool) -> list[str]:
    """Return the names of the files of a complete stage that are missing or are not what it wrote.

    Args:
        path: the folder of the run.
        entry: of the stage, in `run.json`.
        thorough: whether to read the files rather than to look at their sizes alone, and whether to judge
            a stage of an older tfopt, which did not record them.
    """
    known = entry.get("files")
    if known is None:
        names = [name for name in (entry.get("model"), entry.get("file")) if name]
        return [name for name in names if thorough and not _is_readable(path / name)]
    return [name for name, wanted in known.items() if not _is_as_written(path / name, wanted, thorough)]


def damage(path: Path, record: Mapping[str, Any], *, thorough: bool) -> list[str]:
    """Return the names of the files of a complete run that are missing or are not what it wrote."""
    stages = record["stages"]
    found = [name for entry in stages for name in damaged(path, entry, thorough=thorough)]
    if stages and shipped_is_damaged(path, stages[-1], thorough=thorough):
        found.append(FILE)
    names = (stages[-1].get("contract") or {}).get("class_names") if stages else None
    if names and not _holds(path / LABELS, labels(names)):
        found.append(LABELS)
    return found


def shipped_is_damaged(path: Path, entry: Mapping[str, Any], *, thorough: bool) -> bool:
    """Return whether the file that a run ships is not the one of its last stage, if that exports one."""
    if entry.get("model") is not None or not entry.get("file"):
        return False
    wanted = (entry.get("files") or {}).get(entry["file"])
    if wanted is None:
        return thorough and not _is_readable(path / FILE)
    return not _is_as_written(path / FILE, wanted, thorough)


def _is_as_written(path: Path, wanted: Mapping[str, Any], thorough: bool) -> bool:
    if not path.is_file() or path.stat().st_size != wanted.get("bytes"):
        return False
    return not thorough or _digest(path) == wanted.get("sha256")


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_bytes() == text.encode()


def _is_readable(path: Path) -> bool:
    """Return whether a file is there and, as far as its kind can tell, whole."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    if path.suffix != ".keras":
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, zipfile.BadZipFile):
        return False


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
