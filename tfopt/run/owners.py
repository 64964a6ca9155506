"""Who works on a search: each that runs trials holds the lock of a file, which is free once it is dead."""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path

from tfopt.run.file_lock import SUPPORTED, FileLock, is_held

FOLDER = "workers"
_ENDING = ".lock"


class Owner:
    """One that runs trials, one at a time.

    Make it and release it while nobody else changes the search, so that its file is not taken for that of a
    dead one.

    Args:
        search: the folder of the search.

    Attributes:
        name: differs from all others'.
        lock: of its file. A process that inherits it keeps the owner alive.
    """

    def __init__(self, search: Path) -> None:
        host = socket.gethostname()
        self.name = f"{host}-{os.getpid()}-{secrets.token_hex(3)}"
        (search / FOLDER).mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(_file(search, self.name))
        self.lock.acquire()
        assert self.lock.file is not None
        self.lock.file.write(json.dumps({"host": host, "process": os.getpid()}))
        self.lock.file.flush()

    @property
    def log(self) -> Path:
        """Where what its processes print goes."""
        return self.lock.path.with_suffix(".log")

    def release(self) -> None:
        """Say that it is no more."""
        for file in (self.lock.path, self.log):
            file.unlink(missing_ok=True)
        self.lock.release()


def is_alive(search: Path, name: str) -> bool:
    """Return whether an owner still works on the search in a folder."""
    return is_held(_file(search, name))


def living(search: Path) -> list[str] | None:
    """Return the names of those who work on the search in a folder; `None` where nobody can tell."""
    if not SUPPORTED:
        return None
    return [file.stem for file in sorted((search / FOLDER).glob(f"*{_ENDING}")) if is_held(file)]


def bury_dead(search: Path) -> None:
    """Delete the files of owners that died, while nobody else changes the search."""
    for file in (search / FOLDER).glob(f"*{_ENDING}"):
        if not is_held(file):
            for each in (file, file.with_suffix(".log")):
                each.unlink(missing_ok=True)


def _file(search: Path, name: str) -> Path:
    return search / FOLDER / f"{name}{_ENDING}"
