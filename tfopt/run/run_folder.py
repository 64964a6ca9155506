"""The folder of a run: which one, who may write in it, and its record."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tfopt.errors import RunError
from tfopt.files import TEMPORARY_PREFIX, write_atomically
from tfopt.run.environment import tfopt_version
from tfopt.run.file_lock import SUPPORTED, FileLock, is_held
from tfopt.run.run_record import SCHEMA, STATUSES, RunRecord

RECORD = "run.json"
_LOCK = ".lock"
_LOCK_ATTEMPTS = 5
_ID_LENGTH = 8


def choose(out: Path, fingerprint: str, *, fresh: bool, tell: Callable[[str], object] = str) -> Path:
    """Return the folder for the run with this fingerprint below `out`; it need not exist.

    It is the newest with the same fingerprint, whether complete or cut off; with `fresh`, or where
    there is none, a name that is free: the first 8 digits, then with "-2", "-3". A folder whose record
    cannot be read, or that another tfopt did not finish, is left as it is.

    Args:
        out: the folder of runs.
        fingerprint: of the run.
        fresh: whether to take a new folder anyway.
        tell: is told of each folder that is passed over, and why.
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
            if not path.is_dir():
                continue
            if not (path / RECORD).exists():  # of a process that was killed before it began
                return path
            try:
                record = read_record(path)
            except RunError as error:
                tell(f"{error} This run is stored in a new folder.")
                continue
            if record.fingerprint != fingerprint:
                continue
            this = tfopt_version()
            version = (record.environment and record.environment.tfopt) or this
            if record.is_complete or version == this:
                return path
            tell(
                f"The run {path} was not finished by tfopt {version}, and this is tfopt {this}: this "
                "run is stored in a new folder."
            )
    number = max(taken, default=0) + 1
    return out / (name if number == 1 else f"{name}-{number}")


def read_record(path: Path) -> RunRecord:
    """Return the record of the run in the folder `path`.

    Raises:
        RunError: it is missing, unreadable or of another schema.
    """
    file = path / RECORD
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"{path} is not a run: it holds no {RECORD}.") from None
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise RunError(
            f"{file} has schema {schema!r}, this tfopt reads {SCHEMA}. Use the tfopt that wrote it."
        )
    stages = content.get("stages")
    whole = isinstance(stages, list) and all({"name", "status"} <= {*stage} for stage in stages)
    if content.get("status") not in STATUSES or not whole:
        raise _damaged(path, "its status or its stages are missing")
    try:
        return RunRecord.from_json(content)
    except ValueError as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> RunError:
    return RunError(
        f"The record {path / RECORD} is damaged ({reason}). Run the same command again, or delete {path}."
    )


def is_being_written(path: Path) -> bool | None:
    """Return whether a process is writing the run in the folder `path`; `None` where nobody can tell."""
    if not SUPPORTED:
        return None
    try:
        return is_held(path / _LOCK)
    except OSError:  # the folder cannot be read
        return False


def write_record(path: Path, record: RunRecord) -> None:
    """Replace `run.json`. Numbers that JSON lacks (NaN, infinity) become null."""
    write_atomically(path / RECORD, json.dumps(record.to_json(), indent=2) + "\n")


class BusyRunError(RunError):
    """Another process is writing a run."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Make the folder and keep other processes from writing in it; the system frees it when we are killed.

    What a killed process left half-written is deleted.

    Raises:
        BusyRunError: another process is writing.
        RunError: the folder cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"Cannot write in {path}: {error.strerror or error}. Choose another folder with out=."
        ) from error
    lock = _taken(path)
    try:
        assert lock.file is not None
        with contextlib.suppress(OSError):  # who holds the lock is a courtesy to the next process
            lock.file.truncate(0)
            lock.file.write(f"process {os.getpid()}")
            lock.file.flush()
        for unfinished in path.rglob(f"{TEMPORARY_PREFIX}*"):
            unfinished.unlink(missing_ok=True)
        yield
    finally:
        lock.release()


def _taken(path: Path) -> FileLock:
    """Return the lock of a run, held."""
    lock = FileLock(path / _LOCK)
    for _ in range(_LOCK_ATTEMPTS):  # a report holds it for an instant, to see whether a run runs
        if lock.acquire(wait=False):
            return lock
        time.sleep(0.02)
    owner = (path / _LOCK).read_text(encoding="utf-8").strip() or "unknown"
    raise BusyRunError(
        f"Another process ({owner}) is writing the run {path}. Wait for it, or start another run with "
        "--fresh (fresh=True)."
    )
