"""The file that Optuna's study is kept in, written once for each trial that begins or ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from tfopt.run.file_lock import SUPPORTED, FileLock


class _ReentrantLock:
    """The lock of a journal, which its holder may take again.

    Where the system can, it is one that is free as soon as its holder dies; Optuna's is forced open after 30
    seconds.
    """

    def __init__(self, file: Path) -> None:
        self._lock = FileLock(file) if SUPPORTED else JournalFileOpenLock(str(file))
        self._depth = 0

    def acquire(self) -> bool:
        if self._depth == 0:
            self._lock.acquire()
        self._depth += 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._lock.release()


class AtomicJournal(JournalFileBackend):
    """Optuna's journal in a file, where a trial is written by one append: whole or not at all.

    Optuna appends a line for each value of a trial. A kill between them leaves a trial that has some.

    Args:
        file: the file; a last line that was torn, as a full disk does, is cut off.
    """

    def __init__(self, file: Path) -> None:
        self._reentrant = _ReentrantLock(file)
        self._pending: list[dict[str, Any]] | None = None
        self._in_file = 0
        file.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(str(file), lock_obj=self._reentrant)  # type: ignore[arg-type]
        with self._held():
            _cut_torn_line(file)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append entries, or keep them until the batch ends."""
        if self._pending is None:
            self._write(logs)
        else:
            # As they will be read from the file.
            self._pending += [json.loads(json.dumps(log)) for log in logs]

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the entries from a number on, those that wait included."""
        number = log_number_from
        if self._pending is None or number < self._in_file:
            for log in super().read_logs(log_number_from):
                yield log
                number += 1
            self._in_file = number
        yield from (self._pending or [])[number - self._in_file :]

    @contextlib.contextmanager
    def batch(self, synchronize: Any) -> Iterator[None]:
        """Write what is appended inside at once, when the block ends; nothing where it raises.

        Args:
            synchronize: is called first, to read what other processes wrote.
        """
        with self._held():
            synchronize()
            self._pending = []
            try:
                yield
                pending = self._pending
            finally:
                self._pending = None
            if pending:
                self._write(pending)
                # Read once, so that the next reader knows where these lines end.
                for _ in super().read_logs(self._in_file):
                    self._in_file += 1

    def _write(self, logs: list[dict[str, Any]]) -> None:
        super().append_logs(logs)

    @contextlib.contextmanager
    def _held(self) -> Iterator[None]:
        self._reentrant.acquire()
        try:
            yield
        finally:
            self._reentrant.release()


def _cut_torn_line(file: Path) -> None:
    content = file.read_bytes()
    if content and not content.endswith(b"\n"):
        with open(file, "rb+") as torn:
            torn.truncate(content.rfind(b"\n") + 1)
