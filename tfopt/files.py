"""Files that are whole or not there: written under a temporary name in the same folder, then moved."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfopt.errors import RunError

TEMPORARY_PREFIX = ".unfinished-"
"""What a process that was killed while writing leaves behind begins so, and may be deleted."""

PREVIOUS_PREFIX = ".previous-"
"""The version before of a file that is written with `keep_previous`."""

logger = logging.getLogger(__name__)


def as_seen_from(folder: Path, path: Path) -> Path:
    """Return a path that was relative to `folder`: as it is, or absolute where the current folder changed."""
    return path if Path.cwd() == folder else folder / path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; what is written there becomes `path` when the block ends.

    The temporary name keeps the suffix, which `keras.Model.save` goes by. Missing parent folders are
    made. When the block raises, the temporary file is removed and an older `path` is left as it was.

    Raises:
        RunError: the system refused, such as for a full disk or a folder that may not be written.
    """
    path = Path(path)
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        blocked = isinstance(error, FileExistsError | NotADirectoryError)
        advice = (
            "A file stands where a folder is needed: delete it and run the same command again."
            if blocked
            else "Free some space or choose another folder."
        )
        raise RunError(f"Cannot write {path}: {error.strerror or error}. {advice}") from error
    finally:
        # A full or vanished disk may refuse this too; the error that brought us here is the one to show.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_atomically(path: str | os.PathLike[str], content: bytes | str) -> None:
    """Write `content` (text as UTF-8) to `path`, so that no reader ever sees a part of it.

    Raises:
        RunError: the system refused, such as for a full disk; nothing new is left behind.
    """
    with replacing(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def previous(path: str | os.PathLike[str]) -> Path:
    """Return where `keep_previous` keeps the version before of a file."""
    path = Path(path)
    return path.with_name(f"{PREVIOUS_PREFIX}{path.name}")


def keep_previous(path: str | os.PathLike[str]) -> None:
    """Keep the file that is about to be replaced, for where a disk that lost power tears the new one.

    Raises:
        RunError: the system refused.
    """
    path = Path(path)
    if not path.exists():
        return
    temporary = path.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(4)}-{path.name}")
    try:
        os.link(path, temporary)
    except OSError:  # a file system without links
        write_atomically(previous(path), path.read_bytes())
    else:
        os.replace(temporary, previous(path))


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return the content of a JSON file; of the version before where the file is torn and that one is kept.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is torn, and so is the version before, or there is none.
    """
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        try:
            content = json.loads(previous(path).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise error from None
        logger.warning("%s is torn (%s); the version before is used.", path, error)
        return content
