"""Locks of files that the system frees when their holder dies, on this machine or another one.

`flock` on Linux and macOS. Over NFS, Linux makes it a lock of the server, which frees those of a machine that
died after its lease, 90 seconds by default; a mount with `local_lock=flock` or `nolock` does not.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import IO

from tfopt.errors import RunError

try:
    import fcntl
except ImportError:  # Windows has no such locks; there, processes are not kept apart.
    fcntl = None  # type: ignore[assignment]

SUPPORTED = fcntl is not None
"""Whether this system has such locks."""

_REFUSED = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


class FileLock:
    """The lock of a file, which is made where there is none.

    It belongs to the open file: a process that inherits it holds it, too, and it is free once all closed it.

    Args:
        path: of the file, in a folder that exists.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: IO[str] | None = None

    def acquire(self, *, wait: bool = True) -> bool:
        """Take the lock; return whether that worked, which it always does with `wait`.

        Raises:
            RunError: the file cannot be written, or its file system has no locks.
        """
        try:
            file = open(self.path, "a+", encoding="utf-8")  # noqa: SIM115 (open as long as the lock is held)
        except OSError as error:
            raise RunError(
                f"Cannot write in {self.path.parent}: {error.strerror or error}. Choose another folder with "
                "out=."
            ) from error
        try:
            _flock(file, self.path, exclusive=True, wait=wait)
        except BlockingIOError:
            file.close()
            return False
        except BaseException:
            file.close()
            raise
        self.file = file
        return True

    def release(self) -> None:
        """Free the lock; nothing where it is not held."""
        if self.file is not None:
            self.file.close()
            self.file = None

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def is_held(path: Path) -> bool:
    """Return whether somebody, this process included, holds the lock of a file; nobody, of none."""
    try:
        with open(path, encoding="utf-8") as file:
            _flock(file, path, exclusive=False, wait=False)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _flock(file: IO[str], path: Path, *, exclusive: bool, wait: bool) -> None:
    if fcntl is None:
        return
    how = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(file, how if wait else how | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise RunError(
            f"The file system of {path.parent} has no locks ({error.strerror}), so that several processes "
            "cannot work there. Choose a folder on another disk with --out (out=), or mount it with locks."
        ) from error
