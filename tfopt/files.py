"""Files that are whole or not there: written under a temporary name in the same folder, then moved."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from tfopt.errors import RunError

TEMPORARY_PREFIX = ".unfinished-"
"""What a process that was killed while writing leaves behind begins so, and may be deleted."""


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
