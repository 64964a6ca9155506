"""The folder of a run: which one, who may write in it, and its record."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfopt.errors import RunError
from tfopt.files import TEMPORARY_PREFIX, write_atomically

try:
    import fcntl
except ImportError:  # Windows has no such locks; there, two processes are not kept apart.
    fcntl = None  # type: ignore[assignment]

RECORD = "run.json"
SCHEMA = 1
_LOCK = ".lock"
_ID_LENGTH = 8


def choose(out: Path, fingerprint: str, *, fresh: bool) -> Path:
    """Return the folder for the run with this fingerprint below `out`; it need not exist.

    It is the newest with the same fingerprint, whether complete or cut off; with `fresh`, or where
    there is none, a name that is free: the first 8 digits, then with "-2", "-3".
    """
    name = fingerprint[:_ID_LENGTH]
    taken = {}
    if out.is_dir():
        pattern = re.compile(re.escape(name) + r"(?:-(\d+))?")
        for path in out.iterdir():
            if match := pattern.fullmatch(path.name):
                taken[int(match[1] or 1)] = path
    if not fresh:
        for _, path in sorted(taken.items(), reverse=True):
            # A folder without a record is of a process that was killed before it began.
            if not (path / RECORD).exists() or read_record(path).get("fingerprint") == fingerprint:
                return path
    number = max(taken, default=0) + 1
    return out / (name if number == 1 else f"{name}-{number}")


def read_record(path: Path) -> dict[str, Any]:
    """Return the content of `run.json` in the folder `path`.

    Raises:
        RunError: it is missing, unreadable or of another schema.
    """
    try:
        record = json.loads((path / RECORD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is not a run: it holds no {RECORD}.") from None
    except (OSError, ValueError) as error:
        raise RunError(f"Cannot read {path / RECORD}: {error}.") from error
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        found = record.get("schema") if isinstance(record, dict) else None
        raise RunError(
            f"{path / RECORD} has schema {found!r}, this tfopt reads {SCHEMA}. Use the tfopt that wrote it."
        )
    return record


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Replace `run.json`. Numbers that JSON lacks (NaN, infinity) become null."""
    write_atomically(path / RECORD, json.dumps(_finite(record), indent=2) + "\n")


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Make the folder and keep other processes from writing in it; the system frees it when we are killed.

    What a killed process left half-written is deleted.

    Raises:
        RunError: another process is writing, or the folder cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = open(path / _LOCK, "a+")  # noqa: SIM115 (held open as long as the lock)
    except OSError as error:
        raise RunError(
            f"Cannot write in {path}: {error.strerror or error}. Choose another folder with out=."
        ) from error
    with lock:
        if fcntl is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                raise RunError(
                    f"Another process ({lock.read().strip() or 'unknown'}) is writing the run {path}. "
                    "Wait for it, or start a run of its own with --fresh (fresh=True)."
                ) from None
        with contextlib.suppress(OSError):  # who holds the lock is a courtesy to the next process
            lock.truncate(0)
            lock.write(f"process {os.getpid()}")
            lock.flush()
        for unfinished in path.rglob(f"{TEMPORARY_PREFIX}*"):
            unfinished.unlink(missing_ok=True)
        yield


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
