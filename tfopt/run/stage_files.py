"""The files of a run, and whether they still are what its stages wrote. Needs no TensorFlow."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from pathlib import Path

from tfopt.run.run_record import RunRecord
from tfopt.run.stage_record import FileRecord, StageRecord

FILE = "model.tflite"
"""What a run ships, in its folder; and what a stage that exports writes, in its own."""

LABELS = "labels.txt"
"""The names of the classes next to the file, one for each line, as apps for TFLite files read them."""


def labels(names: Iterable[str]) -> str:
    """Return the content of `labels.txt`."""
    return "\n".join(names) + "\n"


def described(path: Path, names: Iterable[str]) -> dict[str, FileRecord]:
    """Return name -> size and SHA-256 of the files of a run that exist.

    Args:
        path: the folder of the run.
        names: relative to it.
    """
    return {
        name: FileRecord(bytes=(path / name).stat().st_size, sha256=_digest(path / name))
        for name in names
        if (path / name).is_file()
    }


def damaged(path: Path, stage: StageRecord, *, thorough: bool) -> list[str]:
    """Return the names of the files of a complete stage that are missing or are not what it wrote.

    Args:
        path: the folder of the run.
        stage: its record.
        thorough: whether to read the files rather than to look at their sizes alone, and whether to judge
            a stage of an older tfopt, which did not record them.
    """
    if stage.files is None:
        names = [name for name in (stage.model, stage.file) if name]
        return [name for name in names if thorough and not _is_readable(path / name)]
    return [name for name, wanted in stage.files.items() if not _is_as_written(path / name, wanted, thorough)]


def damage(path: Path, record: RunRecord, *, thorough: bool) -> list[str]:
    """Return the names of the files of a complete run that are missing or are not what it wrote."""
    found = [name for stage in record.stages for name in damaged(path, stage, thorough=thorough)]
    if not record.stages:
        return found
    last = record.stages[-1]
    if shipped_is_damaged(path, last, thorough=thorough):
        found.append(FILE)
    names = last.contract.class_names if last.contract else None
    if names and not _holds(path / LABELS, labels(names)):
        found.append(LABELS)
    return found


def shipped_is_damaged(path: Path, stage: StageRecord, *, thorough: bool) -> bool:
    """Return whether the file that a run ships is not the one of its last stage, if that exports one."""
    if stage.model is not None or not stage.file:
        return False
    wanted = (stage.files or {}).get(stage.file)
    if wanted is None:
        return thorough and not _is_readable(path / FILE)
    return not _is_as_written(path / FILE, wanted, thorough)


def _is_as_written(path: Path, wanted: FileRecord, thorough: bool) -> bool:
    if not path.is_file() or path.stat().st_size != wanted.bytes:
        return False
    return not thorough or _digest(path) == wanted.sha256


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
